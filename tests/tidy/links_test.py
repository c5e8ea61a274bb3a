#!/usr/bin/env python3
"""Links between the documents of the tree lead somewhere.

usage: links_test.py ROOT          checks the tree at ROOT
       links_test.py --self-test   plants broken links and sees that they are found

A link is relative, names a file of the tree, and after # a heading of it, as GitHub makes
anchors of headings. Links to other places are not followed.
"""

import os
import pathlib
import re
import sys
import tempfile

IGNORED = {".git", "build", "node_modules", "venv"}
FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
LINK = re.compile(r"!?\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
OUTSIDE = re.compile(r"[a-z]+:")


def prose(text):
    """The text without its blocks, and without what is code in a line."""
    return re.sub(r"`[^`\n]*`", "`", FENCE.sub("", text))


def anchors(text):
    """What GitHub calls the headings: small letters, no punctuation, dashes for spaces."""
    found = {}
    for heading in re.findall(r"^#+ +(.*?)\s*$", FENCE.sub("", text), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = found.get(name, -1) + 1
        found[name] = count
        if count:
            found[f"{name}-{count}"] = 0
    return set(found)


def documents(root):
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in IGNORED]
        found += [pathlib.Path(folder) / name for name in files if name.endswith(".md")]
    return sorted(found)


def broken(root):
    """(where, what is wrong) of each link that leads nowhere."""
    for path in documents(root):
        where = path.relative_to(root).as_posix()
        for target in LINK.findall(prose(path.read_text(encoding="utf-8"))):
            if OUTSIDE.match(target):
                continue
            name, _, anchor = target.partition("#")
            there = (path.parent / name).resolve() if name else path
            if not there.exists():
                yield where, f"{target} is not there"
            elif root.resolve() not in (there, *there.parents):
                yield where, f"{target} is outside of the tree"
            elif anchor and (there.suffix != ".md" or anchor not in anchors(
                    there.read_text(encoding="utf-8"))):
                yield where, f"{target}: that document has no heading #{anchor}"


def unreached(root):
    """Guides that nobody finds who begins with the README at the top."""
    seen, waiting = set(), [root / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.is_file() or path.suffix != ".md":
            continue
        seen.add(path)
        for target in LINK.findall(prose(path.read_text(encoding="utf-8"))):
            if not OUTSIDE.match(target):
                waiting.append((path.parent / target.partition("#")[0]).resolve())
    for path in documents(root / "service/guides"):
        if path.resolve() not in {p.resolve() for p in seen}:
            yield path.relative_to(root).as_posix(), "no link leads here from the README"


def check(root):
    return [*broken(root), *unreached(root)]


PLANTED = {
    "a [file](none.md) that is not there": "none.md is not there",
    "a [heading](service/guides/a.md#nowhere)": "#nowhere",
    "a [heading](#nowhere) of its own": "#nowhere",
    "a [place](../elsewhere.md) beside the tree": "../elsewhere.md",
    "a picture ![of it](none.svg)": "none.svg is not there",
}
SOUND = ("# A house\n\nSee [a](service/guides/a.md#one-id-one-instance) and [here](#a-house), "
         "not `[x](y)`.\n\n```\n[z](z.md)\n# no heading\n```\n")


def self_test():
    failures = 0
    for text, wanted in {"": "", **PLANTED}.items():
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name) / "house"
            (root / "service/guides").mkdir(parents=True)
            (root / "README.md").write_text(f"{SOUND}\n{text}\n")
            (root / "service/guides/a.md").write_text("## One ID, one `instance`\n")
            found = [message for _, message in check(root)]
            good = found == [] if not text else len(found) == 1 and wanted in found[0]
            failures += not good
            print("ok " if good else "FAILED", text or "a sound house", "" if good else found)
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        (root / "service/guides").mkdir(parents=True)
        (root / "README.md").write_text("# A house\n")
        (root / "service/guides/lost.md").write_text("# Lost\n")
        good = [where for where, _ in check(root)] == ["service/guides/lost.md"]
        failures += not good
        print("ok " if good else "FAILED", "a guide that nobody links")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    found = check(pathlib.Path(sys.argv[1]).resolve())
    for where, message in found:
        print(f"{where}: {message}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
