#!/usr/bin/env python3
"""Makes all artefacts of a release, in one folder.

usage: make_release.py --build=DIR --to=DIR [--draft] [--compression=xz] [--level=9]

The Debian packages, the container image, the source, the SBOMs, the notes, and
SHA256SUMS over all of them. The same commit, built on the same Debian, makes the same
bytes. A release is a commit: without --draft a tree with changes is refused, and so is a
version without a section in CHANGELOG.md (changelog.py).
"""

import argparse
import gzip
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile

import changelog
from make_packages import HERE, ROOT, run, settings

UPGRADE = ROOT / "service/host/deploy/UPGRADE.md"


def git(*words, **options):
    return subprocess.run(["git", "-c", f"safe.directory={ROOT}", *words], cwd=ROOT,
                          capture_output=True, check=True, **options).stdout


def check_tree():
    """That what is released is a commit, whole."""
    changed = git("status", "--porcelain", text=True)
    if changed:
        sys.exit(f"the tree has changes that are in no commit:\n{changed}")


def write_source(path, version):
    """The commit as a tarball, without a trace of who packs it or when."""
    data = git("archive", "--format=tar", f"--prefix=leasehold-{version}/", "HEAD")
    path.write_bytes(gzip.compress(data, compresslevel=9, mtime=0))


def upgrade_notes(text, version):
    """Those of this version."""
    notes = changelog.section(text, version)
    if notes is None:
        sys.exit(f"{UPGRADE} has no section of {version}")
    return notes


def write_notes(path, version, draft):
    text = (ROOT / "CHANGELOG.md").read_text()
    changes = changelog.section(text, version)
    if changes is None and draft:
        changes = changelog.section(text, "Unreleased")
    if changes is None:
        sys.exit(f"CHANGELOG.md has no section of {version}; changelog.py --cut=DATE "
                 "makes it")
    path.write_text(f"# Leasehold {version}\n\n## Upgrading\n\n"
                    f"{upgrade_notes(UPGRADE.read_text(), version)}\n"
                    f"## Changes\n\n{changes}")


def copy_sboms(to):
    """Out of the packages: one of each program."""
    for package in sorted(to.glob("*.deb")):
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", package],
                              capture_output=True, check=True).stdout
        scratch = to / "scratch.tar"
        scratch.write_bytes(data)
        with tarfile.open(scratch) as tar:
            for member in tar:
                if member.name.endswith(".cdx.json"):
                    name = f"{package.stem}.cdx.json"
                    (to / name).write_bytes(tar.extractfile(member).read())
        scratch.unlink()


def write_sums(to):
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
             for path in sorted(to.iterdir())]
    (to / "SHA256SUMS").write_text("".join(lines))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--draft", action="store_true")
    parser.add_argument("--compression", default="xz")
    parser.add_argument("--level", default="9")
    given = parser.parse_args()
    build, to = given.build.resolve(), given.to.resolve()
    version = settings(build)["CPACK_PACKAGE_VERSION"]
    if not given.draft:
        check_tree()
    shutil.rmtree(to, ignore_errors=True)
    # It makes the folder anew.
    run(sys.executable, "-B", HERE / "make_packages.py", f"--build={build}", f"--to={to}",
        f"--compression={given.compression}")
    run(sys.executable, "-B", HERE / "make_image.py", f"--build={build}", f"--to={to}",
        f"--level={given.level}")
    write_source(to / f"leasehold_{version}.tar.gz", version)
    write_notes(to / "RELEASE-NOTES.md", version, given.draft)
    copy_sboms(to)
    write_sums(to)
    return 0


if __name__ == "__main__":
    sys.exit(main())
