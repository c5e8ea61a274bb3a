"""The README and the guides, and the blocks that stand in them.

Every block has somebody who runs it: `console` blocks are sessions, which A10.2 runs; code
is quoted from sources that are built or run, which A10.4 sees; what is left is run by the
checks in RUN_BY, and A10.5 sees that nothing is forgotten.
"""

import collections
import re

import harness
from harness import expect

GUIDES = harness.ROOT / "service/guides"
README = harness.ROOT / "README.md"
PLACES = "service/guides"

# Language of a block: what the sources are called that it is quoted from.
QUOTED = {"cpp": ("*.cc", "*.h"), "python": ("*.py",), "js": ("*.js", "*.mjs"),
          "go": ("*.go",), "java": ("*.java",), "cmake": ("CMakeLists.txt",)}

# (document, language, how the block begins): the check that runs it, or the test, by path.
RUN_BY = {
    ("README.md", "", "apt install ./leasehold-server_"): "tests/packaging/full_test.py",
    ("README.md", "", "./dev run"): "A10.6",
    ("README.md", "sh", "leasehold-server --console"): "A10.7",
    ("instances.md", "text", "client | Instance ID:"): "A10.7",
    ("operations.md", "", "apt install ./leasehold-server_"): "tests/packaging/full_test.py",
    ("operations.md", "", "leasehold-server --listen=192.168.1.10"): "A16.1",
    ("operations.md", "", "leasehold --address=192.168.1.10"): "A16.1",
    ("operations.md", "sh", "leasehold-server backup"): "A10.14",
    ("security.md", "sh", "new="): "A43.12",
    ("security.md", "json", '{\n  "tenants"'): "A44.14",
    ("security.md", "sh", "touch tokens"): "A44.14",
    ("security.md", "sh", "$issue -subj /CN=report"): "A44.14",
    ("security.md", "sh", "leasehold --ca=ca.pem --token-file"): "A47.5",
    ("observability.md", "yaml", "scrape_configs:"): "A10.8",
    ("observability.md", "yaml", "    authorization:"): "A10.8",
    ("observability.md", "json", '"identities"'): "A10.8",
    ("observability.md", "sh", "leasehold-server --otlp-endpoint"): "A10.9",
}

Block = collections.namedtuple("Block", "document line language text")


def paths():
    return [README, *sorted(GUIDES.glob("*.md"))]


def name_of(path):
    """As RUN_BY calls it: the README at the top, and each guide by its file."""
    return ("guides/" if path.name == "README.md" and path != README else "") + path.name


def text_of(name):
    [path] = [p for p in paths() if name_of(p) == name]
    return path.read_text(encoding="utf-8")


def section(name, heading):
    """The text below a heading, down to the next of the same depth."""
    marks = re.match("#+", heading)[0]
    parts = text_of(name).split(f"\n{heading}\n")
    expect(len(parts) == 2, f"{name} has no section {heading!r}")
    return re.split(rf"^{marks} ", parts[1], flags=re.M)[0]


def blocks_of(path):
    """Its fenced blocks. One that is not closed, or closed twice, is an error."""
    opened = None
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        fence = re.fullmatch(r" *```(\S*).*", line)
        if not fence:
            if opened:
                opened[2].append(line)
        elif not opened:
            opened = (number, fence[1], [])
        else:
            expect(not fence[1], f"{path.name}:{number}: a block begins in a block")
            yield Block(name_of(path), opened[0], opened[1], "\n".join(opened[2]) + "\n")
            opened = None
    expect(not opened, f"{path.name}: a block is not closed")


def blocks():
    return [block for path in paths() for block in blocks_of(path)]


def block(document, language, start):
    """The text of the one block that begins so; it is in RUN_BY."""
    expect((document, language, start) in RUN_BY,
           f"RUN_BY does not know {(document, language, start)}")
    found = [b.text for b in blocks() if (b.document, b.language) == (document, language)
             and b.text.startswith(start)]
    expect(len(found) == 1,
           f"{document} has {len(found)} blocks of {language or 'no language'} that begin "
           f"with {start!r}")
    return found[0]


def command_lines(document, language, start):
    """The lines of such a block; those that go on are one."""
    return block(document, language, start).replace("\\\n", "").splitlines()
