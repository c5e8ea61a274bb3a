#!/usr/bin/env python3
"""A server with a data race in a handler, built with ThreadSanitizer, under load:
passes if the race is found.

usage: planted_race.py FOLDER_OF_SERVER FOLDER_OF_CLIENTS
"""

import sys

import harness
from harness import Program, Server, contains


def main(server_folder, clients_folder):
    harness.use_programs(server_folder, clients_folder, with_builtin=False)
    with Server("--queue-threads=2") as server, \
            Program(harness.clients / "lease_storm", "forever", server.address):
        server.wait()  # The first race that is found ends it.
        contains("\n".join(server.err), "data race", "EchoServer::Respond")
    print("the race was found")


if __name__ == "__main__":
    main(*sys.argv[1:])
