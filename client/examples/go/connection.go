package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
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
// certificate must come from; without it there is no TLS. LEASEHOLD_CERT and
// LEASEHOLD_KEY are the client's own certificate and its key, for a server that asks for
// one; LEASEHOLD_TOKEN_FILE has the token that says who calls.
func connect(address string) (*grpc.ClientConn, error) {
	ca, token := os.Getenv("LEASEHOLD_CA"), os.Getenv("LEASEHOLD_TOKEN_FILE")
	cert, key := os.Getenv("LEASEHOLD_CERT"), os.Getenv("LEASEHOLD_KEY")
	if ca == "" {
		if cert != "" || token != "" {
			return nil, errors.New("a certificate and a token need TLS: set LEASEHOLD_CA")
		}
		return grpc.Dial(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	authorities, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	if !config.RootCAs.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("%s: has no certificate", ca)
	}
	if cert != "" {
		own, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(config))}
	if token != "" {
		options = append(options, grpc.WithPerRPCCredentials(tokenFile(token)))
	}
	return grpc.Dial(address, options...)
}
