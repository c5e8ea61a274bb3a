// Credentials of a channel to a Leasehold server: TLS and a token, if the environment
// says so.
//
// LEASEHOLD_CA is the file of the authorities that the server's certificate must come
// from; LEASEHOLD_TOKEN_FILE has the token that says who calls. Without the first there
// is no TLS.
"use strict";

const { readFile, readFileSync } = require("node:fs");
const grpc = require("@grpc/grpc-js");

// Adds the token to each call, streams too. It is not kept: a token that lives for a
// short time is replaced in its file.
const tokenOf = (path) =>
  grpc.credentials.createFromMetadataGenerator((_call, done) =>
    readFile(path, "ascii", (error, text) => {
      if (error) return done(error);
      const metadata = new grpc.Metadata();
      metadata.set("authorization", `Bearer ${text.trim()}`);
      done(null, metadata);
    }));

exports.credentials = () => {
  const { LEASEHOLD_CA: ca, LEASEHOLD_TOKEN_FILE: token } = process.env;
  if (!ca) {
    if (token) throw new Error("LEASEHOLD_TOKEN_FILE: a token needs TLS: set LEASEHOLD_CA");
    return grpc.credentials.createInsecure();
  }
  const tls = grpc.credentials.createSsl(readFileSync(ca));
  return token ? grpc.credentials.combineChannelCredentials(tls, tokenOf(token)) : tls;
};
