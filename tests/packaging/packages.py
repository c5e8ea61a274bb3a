"""Debian packages, as tests look at them."""

import hashlib
import io
import os
import pathlib
import subprocess
import sys
import tarfile

# For what hangs, not for what is slow.
PATIENCE_S = 120

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
MAKE = SOURCE / "service/host/packaging/make_packages.py"


def run(*command, **options):
    """What it prints; shows it and ends the test if it fails."""
    # Both programs tell of variables that are not theirs, such as those of the tests.
    options.setdefault("env", {name: value for name, value in os.environ.items()
                               if not name.startswith("LEASEHOLD_")})
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}"
                 f"-- exit code {done.returncode}")
    return done.stdout


def equal(got, wanted, what):
    if got != wanted:
        sys.exit(f"{what}: wanted {wanted!r}, got {got!r}")


def expect(condition, what):
    if not condition:
        sys.exit(what)


def contains(text, part, what):
    expect(part in text, f"{what}: no {part!r} in {text!r}")


def make(build, to, *options):
    """{package name: Package} of the packages of a build."""
    run(sys.executable, "-B", MAKE, f"--build={build}", f"--to={to}", *options)
    packages = [Package(path) for path in sorted(to.glob("*.deb"))]
    return {package.name: package for package in packages}


def digest(package):
    return hashlib.sha256(package.path.read_bytes()).hexdigest()


class Package:
    def __init__(self, path):
        self.path = path
        self.name = self.field("Package")
        self.files = self._members("--fsys-tarfile")
        self.control = self._members("--ctrl-tarfile")

    def field(self, name):
        return run("dpkg-deb", "-f", self.path, name).strip()

    def _members(self, what):
        """{path without "./": (TarInfo, content)}"""
        data = subprocess.run(["dpkg-deb", what, self.path], capture_output=True,
                              check=True).stdout
        members = {}
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                content = tar.extractfile(member).read() if member.isfile() else None
                members[member.name.removeprefix("./").rstrip("/")] = (member, content)
        members.pop("", None)
        members.pop(".", None)
        return members

    def text(self, path):
        return self.files[path][1].decode()

    def paths(self):
        """Of all but folders."""
        return [path for path, (member, _) in self.files.items() if not member.isdir()]

    def extract(self, to):
        run("dpkg-deb", "-x", self.path, to)
