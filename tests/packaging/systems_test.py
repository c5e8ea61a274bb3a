#!/usr/bin/env python3
"""`./dev` says on which systems it works, and which it is on.

usage: systems_test.py
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from packages import SOURCE, contains, equal, expect

DEV = SOURCE / "dev"


def dev(*words, release=None):
    environment = dict(os.environ)
    if release is not None:
        environment["DEV_OS_RELEASE"] = str(release)
    return subprocess.run([DEV, *words], env=environment, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)


def check_elsewhere(folder):
    """A clear refusal, before anything is installed or built."""
    release = folder / "os-release"
    for text, name in (
            ('ID=ubuntu\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_CODENAME=noble\n',
             "Ubuntu 24.04.1 LTS"),
            ("ID=debian\nPRETTY_NAME='Debian GNU/Linux 11'\nVERSION_CODENAME=bullseye\n",
             "Debian GNU/Linux 11"),
            ("ID=arch\n", "arch"), (None, "no system with an os-release")):
        release.unlink(missing_ok=True)
        if text is not None:
            release.write_text(text)
        for command in ("build", "test", "run", "package", "lint"):
            done = dev(command, release=release)
            equal(done.returncode, 1, f"exit code of {command} on {name}")
            equal(done.stdout, "", f"what {command} does on {name}")
            contains(done.stderr, f"this is {name}, and is not supported", command)
            for supported in ("Debian 12 (bookworm)", "Debian 13 (trixie)"):
                contains(done.stderr, supported, "what is supported")
        equal(dev("help", release=release).returncode, 0, "help anywhere")
    print("ok  elsewhere it says what it is on, and what is supported")


def check_clang(folder):
    """What is Clang 14's says so on Debian 13."""
    release = folder / "os-release"
    release.write_text('ID=debian\nPRETTY_NAME="Debian 13"\nVERSION_CODENAME=trixie\n')
    for command in ("lint", "format", "asan", "tsan", "fuzz"):
        done = dev(command, release=release)
        equal(done.returncode, 1, f"exit code of {command}")
        contains(done.stderr, "they need Debian 12 (bookworm)", command)
    print("ok  on Debian 13 it says what needs Debian 12")


def check_lists():
    """Both systems have a list of each kind, of packages with a version."""
    text = DEV.read_text()
    lists = {}
    for system in ("bookworm", "trixie"):
        body = re.search(rf"^choose_{system}\(\) {{\n(.*?)^}}", text, re.M | re.S).group(1)
        lists[system] = dict(re.findall(r"^  (\w+_packages)=\((.*?)\)$", body, re.M | re.S))
        for name, pins in lists[system].items():
            for pin in re.findall(r"'([^']*)'", pins):
                expect(re.fullmatch(r"[a-z0-9.+-]+=\S+", pin), f"{system}, {name}: {pin}")
    equal(set(lists["bookworm"]), set(lists["trixie"]), "lists of packages")
    print(f"ok  {len(lists['trixie'])} lists of packages for each of {len(lists)} systems")


def main():
    with tempfile.TemporaryDirectory() as name:
        check_elsewhere(pathlib.Path(name))
        check_clang(pathlib.Path(name))
    check_lists()
    return 0


if __name__ == "__main__":
    sys.exit(main())
