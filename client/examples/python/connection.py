"""A channel to a Leasehold server, with TLS and a token if the environment says so.

LEASEHOLD_CA is the file of the authorities that the server's certificate must come
from; without it there is no TLS. LEASEHOLD_CERT and LEASEHOLD_KEY are the client's own
certificate and its key, for a server that asks for one; LEASEHOLD_TOKEN_FILE has the
token that says who calls.
"""

import os
import pathlib
import sys

import grpc


class Token(grpc.AuthMetadataPlugin):
    """Adds the token to each call, streams too."""

    def __init__(self, path):
        self._path = path

    def __call__(self, context, callback):
        # Not kept: a token that lives for a short time is replaced in its file.
        try:
            with open(self._path, encoding="ascii") as file:
                callback([("authorization", f"Bearer {file.read().strip()}")], None)
        except (OSError, ValueError) as error:
            callback([], error)


def connect(address, library=grpc):
    """A channel of `library`, which may be grpc.aio."""
    ca, cert, key, token = (os.environ.get(f"LEASEHOLD_{name}")
                            for name in ("CA", "CERT", "KEY", "TOKEN_FILE"))
    if not ca:
        if cert or token:
            sys.exit("a certificate and a token need TLS: set LEASEHOLD_CA")
        return library.insecure_channel(address)
    credentials = grpc.ssl_channel_credentials(
        *(path and pathlib.Path(path).read_bytes() for path in (ca, key, cert)))
    if token:
        credentials = grpc.composite_channel_credentials(
            credentials, grpc.metadata_call_credentials(Token(token)))
    return library.secure_channel(address, credentials)
