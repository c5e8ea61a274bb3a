#!/usr/bin/env python3
"""The changelog of a release.

usage: changelog.py --cut=DATE [--changelog=FILE]

Cuts the section of the version that CMakeLists.txt has from what is [Unreleased]: once
for each release, just before it. `./dev release` refuses a version without a section.
"""

import argparse
import datetime
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
UNRELEASED = "## [Unreleased]\n"


def project_version(text):
    return re.search(r"^project\(Leasehold VERSION (\S+)", text, re.M).group(1)


def section(text, version):
    """What has changed in that version, or None."""
    found = re.search(rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", text,
                      re.M | re.S)
    return found and found.group(1).strip() + "\n"


def cut(text, version, date):
    """The changelog with what is unreleased under that version."""
    if section(text, version) is not None:
        raise ValueError(f"the changelog has a section of {version}")
    if not (section(text, "Unreleased") or "").strip():
        raise ValueError("nothing is unreleased")
    heading = f"## [{version}] - {datetime.date.fromisoformat(date).isoformat()}\n"
    return text.replace(UNRELEASED, f"{UNRELEASED}\n{heading}", 1)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--cut", required=True)
    parser.add_argument("--changelog", type=pathlib.Path, default=ROOT / "CHANGELOG.md")
    given = parser.parse_args()
    version = project_version((ROOT / "CMakeLists.txt").read_text())
    try:
        text = cut(given.changelog.read_text(), version, given.cut)
    except ValueError as error:
        sys.exit(f"changelog.py: {error}")
    given.changelog.write_text(text)
    print(f"{given.changelog}: {version} of {given.cut}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
