#!/usr/bin/env python3
"""A server with a data race in a handler, built with ThreadSanitizer, under load:
passes if the race is found.

usage: planted_race.py SERVER LEASE_STORM
"""

import subprocess
import sys

TIMEOUT_S = 120


def main(server, storm):
    with subprocess.Popen(
            [server, "--listen=127.0.0.1:0", "--print-address", "--queue-threads=2"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().removeprefix("address=").strip()
        # Ends when the server does: the first race that is found ends it.
        with subprocess.Popen([storm, "forever", address], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as load:
            try:
                said = process.communicate(timeout=TIMEOUT_S)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                return f"no race was found in {TIMEOUT_S} s"
            finally:
                load.kill()
    if "data race" not in said or "EchoServer::Respond" not in said:
        return f"it ended, exit code {process.returncode}, for another reason:\n{said}"
    print("the race was found")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
