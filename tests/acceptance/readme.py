"""The README's examples, run as they stand.

A ```console block is a session: lines that begin with `$ ` are run by a shell, in
order, and what they print must be what stands below them. Generations, UUIDs and
times differ from run to run, so they are masked on both sides.
"""

import os
import re
import tempfile

import harness
from harness import UUID, check, equal, expect

README = harness.ROOT / "README.md"


def sessions(text):
    """(command, wanted output) of each `$ ` line in each console block."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            lines = part.split("\n")
            command = [lines.pop(0)]
            while command[-1].endswith("\\"):
                command.append(lines.pop(0))
            found.append(("\n".join(command), "\n".join(lines).strip()))
    return found


def masked(text):
    text = UUID.sub("UUID", text)
    text = re.sub(r"\b\d{16}\b", "GENERATION", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    # Remaining leases and ages: 19.98s, 19.983189885s, 20s ago.
    text = re.sub(r"\b\d+\.\d+m?s\b", "DURATION", text)
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


@check("A10.1 the README has examples, each with its output")
def _():
    found = sessions(README.read_text())
    expect(len(found) >= 4, f"only {len(found)} commands in console blocks")


@check("A10.2 each example of the README prints what the README says")
def _():
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(harness.GRPCURL, f"{folder}/grpcurl")
        path = f"{harness.programs}:{folder}:{os.environ['PATH']}"
        with harness.Server("--console", listen=()):
            for command, wanted in sessions(README.read_text()):
                result = harness.run("/bin/bash", "-c", f"{command}\n",
                                     env={"PATH": path})
                equal(masked(result.out + result.err), masked(wanted),
                      f"output of `{command}`")


@check("A10.3 every program and flag that the README names exists")
def _():
    text = README.read_text()
    helps = "".join(
        harness.run(harness.programs / program, *words, "--help").out
        for program, words in (
            ("leasehold-server", []), ("leasehold", []), ("leasehold", ["echo"]),
            ("leasehold", ["demo"])))
    named = set(re.findall(r"`[^`]*?(--[a-z][a-z-]+)", text))
    unknown = sorted(flag for flag in named if flag not in helps
                     and flag not in ("--prefix", "--install"))
    equal(unknown, [], "flags that no --help shows")
