"""The README's examples, run as they stand, and its quotes of code.

A ```console block is a session: lines that begin with `$ ` are run by a shell, in
order, and what they print must be what stands below them. A command that streams
runs beside those that come after it, as in a terminal of its own, until all of
them have run. Generations, UUIDs and times differ from run to run, so they are
masked on both sides.

A block of code in a language is a quote: it must stand, indented or not, in a source
file that is built or run.
"""

import contextlib
import os
import re
import tempfile
import textwrap

import harness
from harness import UUID, Failed, check, equal, expect, wait_until

README = harness.ROOT / "README.md"
STREAMS = re.compile(
    r"leasehold (join|instances (watch|hold|keep-alive))|leasehold\S*/(Join|Watch|Hold)$")


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


def streams(command):
    """Whether it goes on until somebody ends it."""
    return STREAMS.search(command) and "|" not in command


def masked_table(text):
    """Tables without their widths, and without leases and ages.

    Nor pins beside an event: they are as they were when it was told."""
    lines, columns = [], []
    for line in text.split("\n"):
        if re.fullmatch(r"[A-Z]+(  +[A-Z]+)+ *", line):
            columns = [(m.group(), m.start()) for m in re.finditer("[A-Z]+", line)]
        if columns:
            ends = [start for _, start in columns[1:]] + [None]
            cells = [(name, line[start:end].strip())
                     for (name, start), end in zip(columns, ends)]
            hidden = {"LEASE": "DURATION", "AGE": "DURATION"}
            if columns[0][0] == "EVENT":
                cells = [c for c in cells if c[0] != "PINS"]
            line = "  ".join(
                hidden[name] if name in hidden and cell not in ("-", name)
                else cell for name, cell in cells)
        lines.append(line)
    return "\n".join(lines)


def masked(text):
    text = text.strip()
    if re.match("[A-Z]+  ", text):
        text = masked_table(text)
    text = UUID.sub("UUID", text)
    text = re.sub(r"\b\d{16}\b", "GENERATION", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "EXECUTION", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    return "\n".join(line.rstrip() for line in text.split("\n"))


class Stream(harness.Program):
    """A command that streams, and what it is to have said in the end."""

    def __init__(self, command, wanted, env):
        super().__init__("/bin/bash", "-c", f"exec {command} 2>&1", env=env)
        self.command, self.wanted = command, wanted

    def await_first(self):
        wait_until(lambda: self.out or self.ended(), f"`{self.command}` to begin")

    def await_all(self):
        def said():
            return masked("\n".join(self.out)) == masked(self.wanted)
        with contextlib.suppress(Failed):  # Then what it has said is shown.
            wait_until(lambda: said() or self.ended(), "all of it")
        equal(masked("\n".join(self.out)), masked(self.wanted),
              f"output of `{self.command}`")


QUOTED = {"cpp": (".cc", ".h"), "python": (".py",), "js": (".js", ".mjs"), "go": (".go",),
          "java": (".java",)}


def compiled_sources(suffixes):
    """The text of each such file that is built or run."""
    for folder in ("client", "lease", "service", "tests"):
        for path in sorted((harness.ROOT / folder).rglob("*")):
            if path.suffix in suffixes:
                yield path.read_text()


def stands_in(quote, source):
    """Whether `source` has these lines, further to the right or not."""
    quote = textwrap.dedent(quote)
    return any(textwrap.indent(quote, " " * indent) in source
               for indent in range(0, 13, 2)) or textwrap.indent(quote, "\t") in source


@check("A10.1 the README has examples, each with its output")
def _():
    found = sessions(README.read_text())
    expect(len(found) >= 4, f"only {len(found)} commands in console blocks")


@check("A10.2 each example of the README prints what the README says")
def _():
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(harness.GRPCURL, f"{folder}/grpcurl")
        env = {"PATH": f"{harness.programs}:{folder}:{os.environ['PATH']}"}
        with contextlib.ExitStack() as ending:
            ending.enter_context(harness.Server("--console", listen=()))
            beside = []
            for command, wanted in sessions(README.read_text()):
                if streams(command):
                    beside.append(ending.enter_context(
                        Stream(command, wanted, env)))
                    beside[-1].await_first()
                    continue
                result = harness.run("/bin/bash", "-c", f"{command}\n", env=env)
                equal(masked(result.out + result.err), masked(wanted),
                      f"output of `{command}`")
            for stream in beside:
                stream.await_all()


@check("A10.3 every program and flag that the README names exists")
def _():
    text = README.read_text()
    instances = ("list", "get", "create", "watch", "keep-alive", "hold",
                 "set-timeout", "release")
    orchestration = ("start", "ensure", "status", "wait", "watch", "raise-event",
                     "suspend", "resume", "terminate", "restart", "purge", "list",
                     "history")
    helps = "".join(
        harness.run(harness.programs / program, *words, "--help").out
        for program, *words in (
            ("leasehold-server",), ("leasehold-server", "token", "new"),
            ("leasehold",), ("leasehold", "echo"),
            ("leasehold", "demo"), ("leasehold", "join"), ("leasehold", "top"),
            *(("leasehold", "instances", command) for command in instances),
            *(("leasehold", "orchestration", command) for command in orchestration)))
    named = set(re.findall(r"`[^`]*?(--[a-z][a-z-]+)", text))
    unknown = sorted(flag for flag in named if flag not in helps
                     and flag not in ("--prefix", "--install"))
    equal(unknown, [], "flags that no --help shows")


@check("A10.4 each quoted piece of code stands in a source that is compiled")
def _():
    for readme in ("README.md", "client/README.md", "client/orchestrations/README.md",
                   "client/session/README.md", "client/testing/README.md",
                   "client/worker/README.md", "service/examples/README.md"):
        quotes = re.findall(rf"^```({'|'.join(QUOTED)})\n(.*?)^```$",
                            (harness.ROOT / readme).read_text(), re.M | re.S)
        expect(quotes, f"{readme} quotes no code")
        for language, quote in quotes:
            expect(any(stands_in(quote, source)
                       for source in compiled_sources(QUOTED[language])),
                   f"{readme} quotes what stands in no source:\n{quote}")
