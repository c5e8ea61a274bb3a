// Credentials of a channel to a Leasehold server: TLS and a token, if the environment
// says so.
//
// LEASEHOLD_CA is the file of the authorities that the server's certificate must come
// from; without it there is no TLS. LEASEHOLD_CERT and LEASEHOLD_KEY are the client's own
// certificate and its key, for a server that asks for one; LEASEHOLD_TOKEN_FILE has the
// token that says who calls.
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
  const [ca, cert, key, token] = ["CA", "CERT", "KEY", "TOKEN_FILE"].map(
    (name) => process.env[`LEASEHOLD_${name}`]);
  if (!ca) {
    if (cert || token)
      throw new Error("a certificate and a token need TLS: set LEASEHOLD_CA");
    return grpc.credentials.createInsecure();
  }
  const tls = grpc.credentials.createSsl(
    ...[ca, key, cert].map((path) => (path ? readFileSync(path) : null)));
  return token ? grpc.credentials.combineChannelCredentials(tls, tokenOf(token)) : tls;
};
