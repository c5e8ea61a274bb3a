"""The reference and the languages' pages, compared with the programs and what tests install;
and the recipe for backups."""

import json
import os
import re

import documents
import harness
import manual
from harness import Server, check, equal, expect, grpcurl, temporary_folder

REFERENCE = "reference.md"
# Settings whose default is the machine's.
MACHINES = {"queue-threads": "cores minus one, at least one"}


def rows(heading):
    """The cells of each row of the tables in a section of the reference."""
    for line in documents.section(REFERENCE, heading).splitlines():
        if line.startswith("| `"):
            yield [cell.strip().replace("\\|", "|")
                   for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@check("A10.10 the reference has each setting of the server, its form and its default, and no other")
def _():
    shown = {}
    for setting, default, meaning in rows("## Settings"):
        name, _, form = setting.strip("`").removeprefix("--").partition("=")
        expect(len(meaning) > 10, f"the meaning of {name}")
        shown[name] = (form, default)
    wanted = {name: (form, MACHINES.get(name, default))
              for name, (form, default) in manual.settings().items()}
    for name in sorted(set(shown) | set(wanted)):
        equal(shown.get(name), wanted.get(name), f"form and default of --{name}")


@check("A10.11 the reference has each command, and no other")
def _():
    shown = {" ".join(re.match(r"`((?: ?[a-z][a-z-]+)+)", command)[1].split())
             for command, _ in rows("## Commands")}
    equal(sorted(shown), manual.commands(), "commands")


@check("A10.12 the reference has each method that a server describes, and no other")
def _():
    with Server() as server:
        def listed(*words):
            return grpcurl(server.address, "list", *words).out.split()

        methods = ["/".join(name.rsplit(".", 1)) for service in listed()
                   if service.startswith("leasehold.") for name in listed(service)]
    equal(sorted(cell.strip("`") for cell, _ in rows("## Methods")), sorted(methods),
          "methods")


def pinned():
    """{page: what it says of the version that the tests install}."""
    interop = harness.ROOT / "tests/interop"
    python = re.search(r"^durabletask==(\S+)", harness.REQUIREMENTS.read_text(), re.M)[1]
    package = json.loads((interop / "durable_js/package.json").read_text())
    [(js, js_version)] = package["dependencies"].items()
    go, go_version = re.search(r"(\S+/durabletask-go) (\S+)",
                               (interop / "durable_go/go.mod").read_text()).groups()
    java = re.search(r"<artifactId>(durabletask-client)</artifactId>\s*<version>(\S+)<",
                     (interop / "durable_java/pom.xml").read_text()).groups()
    return {"python.md": f"`durabletask` {python}", "javascript.md": f"`{js}` {js_version}",
            "go.md": f"`{go}` {go_version}", "java.md": f"`com.microsoft:{java[0]}` {java[1]}"}


@check("A10.13 each language's page names the version of the SDK that is tested")
def _():
    for page, said in pinned().items():
        expect("**Tested**" in documents.text_of(page)
               and said in documents.text_of(page), f"{page} does not say {said}")
    expect("**Not tested" in documents.text_of("dotnet.md"), "dotnet.md says it is tested")


@check("A10.14 a backup while the server serves, and its restore, as the guide on operations says")
def _():
    backup, printed, restore = documents.command_lines(
        "operations.md", "sh", "leasehold-server backup")
    name = printed.rsplit("/", 1)[1]
    with temporary_folder() as folder:
        def asked(line):
            for place in ("/var/lib", "/var/backups"):
                line = line.replace(place, folder + place)
            os.makedirs(f"{folder}/var/lib", exist_ok=True)
            os.makedirs(f"{folder}/var/backups", exist_ok=True)
            done = harness.run(harness.programs / "leasehold-server", *line.split()[1:])
            equal(done.code, 0, f"exit code of {done}")
            return done.out.strip()

        data = f"--data={folder}/var/lib/leasehold"
        with Server(data) as server:
            ensure(server, "before", created=True)
            made = asked(backup)
            equal(re.sub(r"\d{8}T\d{6}", "TIME", made),
                  re.sub(r"\d{8}T\d{6}", "TIME", f"{folder}/var/backups/leasehold/{name}"),
                  "the folder that is printed")
            ensure(server, "after", created=True)
            server.end()
        asked(restore.replace(name, made.rsplit("/", 1)[1]))
        with Server(data) as server:
            ensure(server, "before", created=False)
            ensure(server, "after", created=True)
            server.end()


def ensure(server, name, created):
    """There is a counter of that ID; it was there, or was not."""
    said = harness.leasehold(f"--address={server.address}", "--output=json", "orchestration",
                             "ensure", "Counter", f"--id={name}", "--input=0").out
    expect(("Creating singleton" in said or '"created":true' in said) == created,
           f"{name}: {said}")
