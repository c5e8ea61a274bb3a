"""A channel to a Leasehold server, with TLS and a token if the environment says so.

LEASEHOLD_CA is the file of the authorities that the server's certificate must come
from; LEASEHOLD_TOKEN_FILE has the token that says who calls. Without the first there
is no TLS.
"""

import os
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


def connect(address):
    ca, token = (os.environ.get(name) for name in ("LEASEHOLD_CA", "LEASEHOLD_TOKEN_FILE"))
    if not ca:
        if token:
            sys.exit("LEASEHOLD_TOKEN_FILE: a token needs TLS: set LEASEHOLD_CA")
        return grpc.insecure_channel(address)
    with open(ca, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    if token:
        credentials = grpc.composite_channel_credentials(
            credentials, grpc.metadata_call_credentials(Token(token)))
    return grpc.secure_channel(address, credentials)
