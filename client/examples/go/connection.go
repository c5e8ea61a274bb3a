package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// tokenFile adds the token in a file to each call, streams too. It is not kept: a
// token that lives for a short time is replaced in its file.
type tokenFile string

func (path tokenFile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	text, err := os.ReadFile(string(path))
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"authorization": "Bearer " + strings.TrimSpace(string(text))}, nil
}

func (tokenFile) RequireTransportSecurity() bool { return true }

// connect makes a channel to a Leasehold server, with TLS and a token if the
// environment says so: LEASEHOLD_CA is the file of the authorities that the server's
// certificate must come from, LEASEHOLD_TOKEN_FILE has the token that says who calls.
// Without the first there is no TLS.
func connect(address string) (*grpc.ClientConn, error) {
	ca, token := os.Getenv("LEASEHOLD_CA"), os.Getenv("LEASEHOLD_TOKEN_FILE")
	if ca == "" {
		if token != "" {
			return nil, errors.New("LEASEHOLD_TOKEN_FILE: a token needs TLS: set LEASEHOLD_CA")
		}
		return grpc.Dial(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	tls, err := credentials.NewClientTLSFromFile(ca, "")
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(tls)}
	if token != "" {
		options = append(options, grpc.WithPerRPCCredentials(tokenFile(token)))
	}
	return grpc.Dial(address, options...)
}
