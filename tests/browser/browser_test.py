#!/usr/bin/env python3
"""Runs the browser tests: see README.md.

usage: browser_test.py --programs=FOLDER [--all | FILE...]
"""

import argparse
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import sys

SOURCES = pathlib.Path(__file__).resolve().parent
sys.path.append(str(SOURCES.parent / "acceptance"))

import harness
from harness import Server

PLACE = harness.ROOT / "build/browser/tests/browser"
TOOLS = harness.ROOT / "build/tools/node/bin"
CHROMIUM = pathlib.Path("/usr/bin/chromium")
TIMEOUT_S = 900
SHORT = ("modules", "live", "hostile", "real_server")
ALL = SHORT + ("pages", "strip", "verbs", "batch", "speed")


def path():
    return {"PATH": f"{TOOLS}:/usr/bin:/bin", "LEASEHOLD_SCREENSHOTS": str(PLACE)}


def install():
    """A copy of the tests, and of what they import, beside the pinned packages."""
    lock = (SOURCES / "package-lock.json").read_bytes()
    mark, wanted = PLACE / "installed", hashlib.sha256(lock).hexdigest()
    PLACE.mkdir(parents=True, exist_ok=True)
    for source in SOURCES.iterdir():
        if source.is_file():
            shutil.copy(source, PLACE)
    assets = PLACE.parents[1] / "service/http/ui"
    shutil.rmtree(assets, ignore_errors=True)
    shutil.copytree(harness.ROOT / "service/http/ui", assets)
    if mark.is_file() and mark.read_text() == wanted:
        return
    mark.unlink(missing_ok=True)
    result = harness.run(TOOLS / "npm", "ci", "--prefix", PLACE, "--no-audit", "--no-fund",
                         env=path(), timeout=TIMEOUT_S)
    harness.equal(result.code, 0, f"exit code of {result}")
    mark.write_text(wanted)


@contextlib.contextmanager
def environment(name):
    """What a file is told: of the real server, if it wants one."""
    if name != "real_server":
        yield path()
        return
    with Server("--store=memory", "--http-listen=127.0.0.1:0", "--idle-timeout=60s") as server:
        line = server.await_line("err", "http_listening")
        yield {**path(), "LEASEHOLD_URL": re.search(r"http://[\d.:]+", line)[0],
               "LEASEHOLD_ADDRESS": server.address,
               "LEASEHOLD_CLI": str(harness.clients / "leasehold")}


def passed(name):
    with environment(name) as env:
        result = harness.run(TOOLS / "node", "--test-reporter=spec", PLACE / f"{name}.test.mjs",
                             env=env, timeout=TIMEOUT_S)
    print(f"{name}: exit code {result.code}\n{result.out}{result.err}")
    return result.code == 0


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    harness.use_programs(arguments.programs)
    if not CHROMIUM.is_file() or not TOOLS.is_dir():
        print("chromium or node is missing: `./dev test` installs them", file=sys.stderr)
        return 1
    install()
    every = arguments.all or os.environ.get("LEASEHOLD_BROWSER") == "all"
    return 0 if all([passed(name) for name in arguments.files or (ALL if every else SHORT)]) else 1


if __name__ == "__main__":
    sys.exit(main())
