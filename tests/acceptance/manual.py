"""What the programs say of themselves: their manual pages, which come from their own tables."""

import functools
import pathlib
import re

import harness
from harness import equal, temporary_folder


@functools.cache
def pages():
    """{command, as it is typed: its page, without the marks of man}, and `settings`."""
    found = {}
    with temporary_folder() as folder:
        for program in (harness.clients / "leasehold", harness.programs / "leasehold-server"):
            made = harness.run(program, "man", folder)
            equal(made.code, 0, f"exit code of {made}")
        for path in sorted(pathlib.Path(folder).iterdir()):
            text = path.read_text(encoding="utf-8").replace("\\-", "-")
            synopsis = re.search(r"\.SH SYNOPSIS\n\.PP\n\\fB(.*?)\\fR", text)[1]
            found["settings" if path.suffix == ".5" else synopsis] = text
    return found


def commands():
    """All commands that do something themselves, as they are typed."""
    return sorted(name for name, page in pages().items()
                  if " " in name and ".SH COMMANDS" not in page)


def flags():
    """Every flag of every command."""
    text = re.sub(r"\\f[A-Z]", " ", "".join(pages().values()))
    return {f"--{name}" for name in settings()} | set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


def settings():
    """{name: (form, default)} of each setting of the server; `-` if there is no default."""
    found = {}
    for name, form, default, rest in re.findall(
            r"^\\fB(\S+)\\fR = (.*?)(?: +\(default: (.*)\))?$\n(.*)",
            pages()["settings"].split(".SH SETTINGS")[1], re.M):
        if form == "on|off":
            form, default = "", re.search(r"Default: (on|off)\.", rest)[1]
        found[name] = (form, default or "-")
    return found
