"""A60: the published client of Durable Functions for Python, unchanged, is at home here.

It speaks the Durable Functions HTTP API. The program is durable_functions_python/client.py,
which takes the address of a server, and runs with packages of its own.
"""

import re
import shutil

import harness
from harness import Server, check, equal, expect, temporary_folder

SOURCES = harness.ROOT / "tests/interop/durable_functions_python"
PLACE = harness.ROOT / "build/interop/durable_functions_python"
TIMEOUT_S = 600


def install():
    """The packages, which are kept for as long as their list is the same."""
    wanted, mark = SOURCES / "requirements.txt", PLACE / "requirements.txt"
    if mark.is_file() and mark.read_bytes() == wanted.read_bytes():
        return
    shutil.rmtree(PLACE, ignore_errors=True)
    for command in (("/usr/bin/python3", "-m", "venv", PLACE),
                    (PLACE / "bin/python", "-m", "pip", "install",
                     "--disable-pip-version-check", "--no-input", "--no-deps",
                     "--only-binary=:all:", "-r", wanted)):
        result = harness.run(*command, timeout=TIMEOUT_S)
        equal(result.code, 0, f"exit code of {result}")
    shutil.copy(wanted, mark)


@check("A60.1 the client for Python: starts, commands, histories, lists, purges, waits, restarts "
       "and entities")
def _():
    install()
    with temporary_folder() as folder:
        for store in ("--store=memory", f"--data={folder}"):
            with Server(store, "--http-listen=127.0.0.1:0") as server:
                result = harness.run(PLACE / "bin/python", "-B", SOURCES / "client.py",
                                     server.http_address, timeout=TIMEOUT_S)
                expect(not server.ended(), f"the server ended: {server.err[-3:]}")
                expect(result.code == 0, f"client.py with {store}:\n{result.err[-3000:]}")
                ran = re.search(r"^Ran (\d+) tests? in", result.err, re.M)
                expect(ran and int(ran[1]) > 0, f"no test of client.py was run: {result.err}")
                print(f"      {store}: {ran[1]} tests")
