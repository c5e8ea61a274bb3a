#!/usr/bin/env python3
"""A release: what `./dev release` puts into its folder, and the changelog's section.

usage: release_test.py --build=DIR [--twice]
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

from packages import SOURCE, Package, contains, equal, expect, run

PACKAGING = SOURCE / "service/host/packaging"
MAKE = PACKAGING / "make_release.py"
CHANGES = """# Changelog

## [Unreleased]

### Added

- A tea.

## [0.0.1] - 2020-01-01

- First.
"""


def check_changelog():
    sys.path.insert(0, str(PACKAGING))
    import changelog
    equal(changelog.section(CHANGES, "0.0.1"), "- First.\n", "a section")
    equal(changelog.section(CHANGES, "0.0.2"), None, "a section that is not there")
    text = changelog.cut(CHANGES, "0.0.2", "2026-11-30")
    contains(text, "## [Unreleased]\n\n## [0.0.2] - 2026-11-30\n\n### Added", "cut")
    equal(changelog.section(text, "0.0.2"), "### Added\n\n- A tea.\n", "what was cut")
    equal(changelog.section(text, "0.0.1"), "- First.\n", "the section before")
    for wrong in ((text, "0.0.2", "2026-11-30"), (text, "0.0.3", "2026-11-30"),
                  (CHANGES, "0.0.2", "tomorrow")):
        try:
            changelog.cut(*wrong)
        except ValueError:
            continue
        sys.exit(f"cut: {wrong[1:]} was not refused")
    print("ok  the changelog's section is cut once, from what is unreleased")


def made(build, to, *options):
    run(sys.executable, "-B", MAKE, f"--build={build}", f"--to={to}", "--draft",
        "--compression=gzip", "--level=1", *options)
    return {path.name: path for path in to.iterdir()}


def check_artefacts(found, version):
    """All of them, and no other."""
    packages = [Package(path) for name, path in found.items() if name.endswith(".deb")]
    equal(sorted(package.name for package in packages),
          ["leasehold", "leasehold-dev", "leasehold-server"], "packages")
    programs = [package.path.stem for package in packages if package.name != "leasehold-dev"]
    image, = (name for name in found if name.startswith("leasehold-image_"))
    equal(set(found), {
        image, f"leasehold_{version}.tar.gz", "RELEASE-NOTES.md", "SHA256SUMS",
        *(package.path.name for package in packages),
        *(f"{stem}.cdx.json" for stem in programs)}, "artefacts")
    folder = found["SHA256SUMS"].parent
    checked = run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=folder).splitlines()
    equal(len(checked), len(found) - 1, "files with a checksum")
    notes = found["RELEASE-NOTES.md"].read_text()
    contains(notes, f"# Leasehold {version}\n\n## Upgrading\n", "notes")
    contains(notes, "\n## Changes\n", "notes")
    print(f"ok  a release has {len(found)} files, and checksums of all")


def check_source(path, version):
    """What is in the commit, under the version's name, and nobody's."""
    with tarfile.open(path) as tar:
        members = {member.name: member for member in tar}
        text = tar.extractfile(f"leasehold-{version}/CMakeLists.txt").read().decode()
    contains(text, f"project(Leasehold VERSION {version} ", "the version in the source")
    roots = {name.split("/")[0] for name in members}
    equal(roots, {f"leasehold-{version}"}, "the source's folder")
    equal({(member.uid, member.gid) for member in members.values()}, {(0, 0)}, "owners")
    expect(members[f"leasehold-{version}/dev"].mode & 0o111, "dev cannot be run")
    print(f"ok  the source has {len(members)} files and folders")


def check_refusals(build, source, folder):
    """A tree with changes is no release. In a copy, so that this one stays."""
    with tarfile.open(source) as tar:
        tar.extraction_filter = lambda member, _: member  # Ours: all of it.
        tar.extractall(folder)
    copy = folder / source.name.removesuffix(".tar.gz").replace("_", "-")
    git = ["git", "-C", copy, "-c", "user.name=n", "-c", "user.email=n@example.com"]
    run(*git, "init", "--quiet")
    run(*git, "add", "--all")
    run(*git, "commit", "--quiet", "--message=all")
    (copy / "CHANGELOG.md").write_text("changed")
    done = subprocess.run(
        [sys.executable, "-B", copy / MAKE.relative_to(SOURCE), f"--build={build}",
         f"--to={folder / 'none'}"], capture_output=True, text=True, check=False)
    equal(done.returncode, 1, "exit code with changes")
    contains(done.stderr, "CHANGELOG.md", "which file has changes")
    expect(not (folder / "none").exists(), "something was made")
    print("ok  a tree with changes is no release")


def has_git():
    if not shutil.which("git"):
        return False
    done = subprocess.run(["git", "-c", f"safe.directory={SOURCE}", "rev-parse", "HEAD"],
                          cwd=SOURCE, capture_output=True, check=False)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--twice", action="store_true")
    given = parser.parse_args()
    build = given.build.resolve()
    check_changelog()
    if not has_git():
        print("not a git tree: nothing to release")
        return 0
    version = re.search(r"VERSION (\S+)", (SOURCE / "CMakeLists.txt").read_text()
                        .split("project(")[1]).group(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        found = made(build, folder / "one")
        check_artefacts(found, version)
        check_source(found[f"leasehold_{version}.tar.gz"], version)
        if given.twice:
            sums = found["SHA256SUMS"].read_text()
            equal(made(build, folder / "two")["SHA256SUMS"].read_text(), sums,
                  "two releases")
            print("ok  made twice, a release has the same bytes")
        check_refusals(build, found[f"leasehold_{version}.tar.gz"], folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
