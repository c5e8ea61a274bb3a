"""The examples of the README and the guides, run as they stand, and their quotes of code.

A ```console block is a session: lines that begin with `$ ` are run by a shell, in
order, and what they print must be what stands below them. A command that streams
runs beside those that come after it, as in a terminal of its own, until all of
them have run. Generations, UUIDs and times differ from run to run, so they are
masked on both sides.

A block of code in a language is a quote: it must stand, indented or not, in a source
file that is built or run. Which documents there are, and who runs the other blocks, is in
documents.py; reference.py compares the reference with the programs.
"""

import contextlib
import os
import re
import pathlib
import tempfile
import textwrap

import documents
import harness
import manual
from documents import QUOTED
from harness import UUID, Failed, Server, check, contains, equal, expect, wait_until

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
    text = re.sub(r"(lease ends in|with) \S+( of|$)", r"\1 DURATION\2", text, flags=re.M)
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


def compiled_sources(patterns):
    """The text of each such file that is built or run."""
    for folder in ("client", "lease", "service", "tests"):
        for pattern in patterns:
            for path in sorted((harness.ROOT / folder).rglob(pattern)):
                yield path.read_text()


def stands_in(quote, source):
    """Whether `source` has these lines, further to the right or not."""
    quote = textwrap.dedent(quote)
    return any(textwrap.indent(quote, " " * indent) in source
               for indent in range(0, 13, 2)) or textwrap.indent(quote, "\t") in source


def transcript(text, who):
    """The lines of `who` in a transcript of several, masked."""
    return [masked(line.removeprefix(f"{who} | ")) for line in text.splitlines()
            if line.startswith(f"{who} | ")]


@contextlib.contextmanager
def shell():
    """The environment of a shell that finds our programs and grpcurl."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(harness.GRPCURL, f"{folder}/grpcurl")
        yield {"PATH": f"{harness.clients}:{harness.programs}:{folder}:{os.environ['PATH']}"}


def run_session(text, env):
    """Each command of a document prints what it says there, on a server of its own."""
    with contextlib.ExitStack() as ending:
        server = ending.enter_context(
            Server("--console", "--http-listen=127.0.0.1:0", listen=()))
        beside = []
        for command, wanted in sessions(text):
            command = command.replace("http://127.0.0.1:4002", server.http_address)
            if streams(command):
                beside.append(ending.enter_context(Stream(command, wanted, env)))
                beside[-1].await_first()
                continue
            result = harness.run("/bin/bash", "-c", f"{command}\n", env=env)
            equal(masked(result.out + result.err), masked(wanted),
                  f"output of `{command}`")
        for stream in beside:
            stream.await_all()


@check("A10.1 the README is short and has examples, each with its output; so have the guides")
def _():
    lines = documents.README.read_text().splitlines()
    expect(len(lines) < 200, f"the README has {len(lines)} lines")
    found = sessions(documents.README.read_text())
    expect(len(found) >= 4, f"only {len(found)} commands in console blocks")
    expect(len(documents.paths()) > 15, f"only {documents.paths()}")


@check("A10.2 each example of the README and the guides prints what stands there")
def _():
    with shell() as env:
        for path in documents.paths():
            text = path.read_text()
            if sessions(text):
                print(f"      {documents.name_of(path)}: {len(sessions(text))} commands")
                run_session(text, env)


@check("A10.3 every flag that the documents name exists")
def _():
    known = manual.flags() | {"--help", "--version", "--install"}  # The last is CMake's.
    known |= set(re.findall(r"--[a-z]+", harness.run(harness.ROOT / "dev", "help").out))
    for path in documents.paths():
        named = set(re.findall(r"`[^`\n]*?(--[a-z][a-z-]+)", path.read_text()))
        equal(sorted(named - known), [], f"flags in {path.name} that no manual page has")


@check("A10.4 each quoted piece of code stands in a source that is compiled")
def _():
    rooms = [harness.ROOT / name / "README.md" for name in (
        "client", "client/orchestrations", "client/session", "client/testing",
        "client/worker", "service/examples")]
    for path in [*documents.paths(), *rooms]:
        quotes = [b for b in documents.blocks_of(path) if b.language in QUOTED]
        expect(quotes or path not in rooms, f"{path} quotes no code")
        for block in quotes:
            if path not in rooms or block.language != "cmake":
                expect(any(stands_in(block.text, source)
                           for source in compiled_sources(QUOTED[block.language])),
                       f"{path.name}:{block.line} quotes what stands in no source:\n"
                       f"{block.text}")


@check("A10.5 every block in the README and the guides is run by somebody")
def _():
    used = set()
    for block in documents.blocks():
        if block.language in ("console", *QUOTED):
            continue
        mine = [key for key in documents.RUN_BY if key[:2] == block[0:3:2]
                and block.text.startswith(key[2])]
        expect(len(mine) == 1, f"{block.document}:{block.line}: nobody runs this block "
               f"(documents.py, RUN_BY; or make it a `console` block): {block.text[:60]!r}")
        used.update(mine)
    equal(sorted(set(documents.RUN_BY) - used), [], "blocks in RUN_BY that are not there")
    bodies = {c.number: c.body for c in harness.CHECKS}
    for (document, language, start), runner in documents.RUN_BY.items():
        if "/" in runner:
            expect((harness.ROOT / runner).is_file(), f"there is no {runner}")
            continue
        expect(runner in bodies, f"there is no check {runner}")
        source = pathlib.Path(bodies[runner].__code__.co_filename).read_text()
        begin = start.split("\n")[0]
        expect(begin in source or begin in certificates_source(),
               f"{runner} does not take {document}'s block {begin!r}")


def certificates_source():
    return (harness.ROOT / "tests/acceptance/certificates.py").read_text()


@check("A10.6 ./dev has the commands that the README names")
def _():
    usage = harness.run(harness.ROOT / "dev", "help").out
    lines = documents.command_lines("README.md", "", "./dev run")
    named = {word for path in documents.paths()
             for word in re.findall(r"\./dev ([a-z-]+)", path.read_text())}
    expect({"run", "test"} <= named and len(lines) == 2, "the README has two commands")
    for command in named:
        expect(re.search(rf"^  {command}\b", usage, re.M), f"./dev help has no {command}")


@check("A10.7 the tour: what the demo and the server print, line by line")
def _():
    serve, tour = documents.command_lines("README.md", "sh", "leasehold-server --console")
    shown = documents.block("instances.md", "text", "client | Instance ID:")
    client, server = transcript(shown, "client"), transcript(shown, "server")
    with shell() as env, Server(*serve.removesuffix("&").split()[1:], listen=(),
                                print_address=False) as running:
        said = harness.run("/bin/bash", "-c", tour, env=env)
        equal(said.code, 0, f"exit code of {said}")
        equal([masked(line) for line in said.out.splitlines()[:len(client)]], client,
              "what the client prints")
        name = f'"{said.out.splitlines()[0].removeprefix("Instance ID: ")}"'

        def told():
            return [masked(line) for line in running.out if name in line]

        wait_until(lambda: len(told()) >= len(server), lambda: f"the server's lines: {told()}")
        equal(told()[:len(server)], server, "what the server prints")


@check("A10.8 Prometheus as the guide sets it up: its token reads the whole server's numbers")
def _():
    target = re.search(r'targets: \["(.*)"\]', documents.block(
        "observability.md", "yaml", "scrape_configs:"))
    equal(target[1], manual.settings()["http-listen"][1], "where the server listens for HTTP")
    contains(documents.block("observability.md", "yaml", "    authorization:"),
             "credentials_file: prometheus.token")
    identity = documents.block("observability.md", "json", '"identities"')
    with harness.temporary_folder() as folder:
        policy = pathlib.Path(folder) / "policy.json"
        policy.write_text('{"tenants": {"default": {}}, "token_file": "tokens", '
                          + identity.replace('"roles"', '"tenant": "default", "roles"') + "}")
        (policy.parent / "tokens").touch()
        token = harness.run(harness.programs / "leasehold-server", "token", "new",
                            f"--policy={policy}", "--identity=prometheus").out.strip()
        with Server(f"--policy={policy}", "--http-listen=127.0.0.1:0") as server:
            said = harness.run("curl", "-s", "-H", f"Authorization: Bearer {token}",
                               f"{server.http_address}/metrics").out
    contains(said, "leasehold_calls_total", "leasehold_contexts")


@check("A10.9 a server sends spans as the guide starts it")
def _():
    [line] = documents.command_lines("observability.md", "sh",
                                     "leasehold-server --otlp-endpoint")
    with Server(*line.split()[1:]) as server:
        server.lives()
        server.end()
