#!/usr/bin/env python3
"""Makes a container image of a build, without a registry and without root.

usage: make_image.py --build=DIR --to=DIR [--name=localhost/leasehold] [--level=9]

Writes one archive that podman and docker load: an OCI layout that also has docker's
manifest.json. It has the two programs, the shared libraries that they load, as this
system's packages have them, and nothing else: no shell, no package manager. There are
two layers: what is Debian's, which stays the same from release to release, and what is
ours. The same build and the same packages make the same bytes.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import sys
import tarfile
import tempfile
import time

import sbom
from make_packages import HERE, epoch, run, settings

PROGRAMS = ("leasehold-server", "leasehold")
USER = 10001
CONFIG = "etc/leasehold/server.conf"
SOCKET = "run/leasehold/server.sock"
AUTHORITIES = pathlib.Path("/usr/share/ca-certificates/mozilla")
# Nobody signs in.
ACCOUNTS = {
    "etc/passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\n"
                  f"leasehold:x:{USER}:{USER}:Leasehold:/var/lib/leasehold:/usr/sbin/nologin\n"
                  f"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": f"root:x:0:\nleasehold:x:{USER}:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
FOLDERS = {"tmp": 0o1777, "run": 0o755, "proc": 0o755, "sys": 0o755, "dev": 0o755,
           "root": 0o700, "var/tmp": 0o1777}
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}


class Layer:
    """Files of a layer, and its bytes. Times are `time`, owners root unless said."""

    def __init__(self, at):
        self.time = at
        self.members = {}

    def _add(self, path, kind, mode, owner, **more):
        parent = os.path.dirname(path)
        if parent and parent not in self.members:
            self.folder(parent)
        member = tarfile.TarInfo(path)
        member.type, member.mode, member.mtime = kind, mode, self.time
        member.uid = member.gid = owner
        for name, value in more.items():
            if name != "content":
                setattr(member, name, value)
        content = more.get("content", b"")
        member.size = len(content)
        self.members[path] = (member, content)

    def folder(self, path, mode=0o755, owner=0):
        self._add(path, tarfile.DIRTYPE, mode, owner)

    def link(self, path, target):
        self._add(path, tarfile.SYMTYPE, 0o777, 0, linkname=target)

    def file(self, path, content, mode=0o644):
        self._add(path, tarfile.REGTYPE, mode, 0, content=content)

    def tar(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path in sorted(self.members):
                member, content = self.members[path]
                tar.addfile(member, io.BytesIO(content))
        return out.getvalue()


def libraries(programs):
    """The files that the loader opens for them, itself too: {path in the image: file}."""
    found = {}
    for program in programs:
        listed = run("ldd", program)
        if "not found" in listed:
            sys.exit(f"{program}: {listed}")
        for path in re.findall(r"(?:=> |^\s)(/\S+) \(0x", listed, re.M):
            real = os.path.realpath(path)
            # By the name that is asked for; all of /lib is in /usr.
            name = path if path.startswith("/usr/") else f"/usr{path}"
            found[name.lstrip("/")] = pathlib.Path(real)
    return found


def check_unchanged(package, files):
    """A library that is not what its package has belongs into no image."""
    sums = {}
    for listing in pathlib.Path("/var/lib/dpkg/info").glob(f"{package}*.md5sums"):
        if re.fullmatch(rf"{re.escape(package)}(:\w+)?\.md5sums", listing.name):
            for line in listing.read_text().splitlines():
                digest, path = line.split(None, 1)
                sums[os.path.realpath(f"/{path}")] = digest
    for file in files:
        digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
        if sums.get(str(file)) != digest:
            sys.exit(f"{file} is not as its package {package} has it: install that again")


def status_of(package):
    """What dpkg knows of it: scanners look for it in status.d."""
    return run("dpkg-query", "-s", package)


def base_layer(programs):
    """What is Debian's. It depends on no time: as long as its packages stay, it stays."""
    layer = Layer(0)
    for path, mode in FOLDERS.items():
        layer.folder(path, mode)
    for path, target in LINKS.items():
        layer.link(path, target)
    layer.folder("usr/sbin")
    for path, text in ACCOUNTS.items():
        layer.file(path, text.encode())
    of_package = {}
    for path, file in sorted(libraries(programs).items()):
        layer.file(path, file.read_bytes(), 0o755)
        of_package.setdefault(sbom.package_of(str(file)), []).append(file)
    authorities = sorted(AUTHORITIES.glob("*.crt"))
    if not authorities:
        sys.exit("no authorities in the package ca-certificates")
    layer.file("etc/ssl/certs/ca-certificates.crt",
               b"".join(path.read_bytes() for path in authorities))
    of_package["ca-certificates"] = authorities
    release = pathlib.Path("/usr/lib/os-release")
    layer.file("usr/lib/os-release", release.read_bytes())
    layer.link("etc/os-release", "../usr/lib/os-release")
    of_package["base-files"] = [release]
    for package, files in sorted(of_package.items()):
        check_unchanged(package, files)
        layer.file(f"var/lib/dpkg/status.d/{package}", status_of(package).encode())
        layer.file(f"usr/share/doc/{package}/copyright",
                   pathlib.Path(f"/usr/share/doc/{package}/copyright").read_bytes())
    return layer


def own_layer(build, version, at, scratch):
    """What is ours: programs, settings, where the data is, and of what they consist."""
    layer = Layer(at)
    for name in PROGRAMS:
        program = scratch / name
        run("strip", "-o", program, build / "bin" / name)
        layer.file(f"usr/bin/{name}", program.read_bytes(), 0o755)
        parts = sbom.parts_of(build, build / "bin" / name)
        share = f"usr/share/doc/{name}"
        layer.file(f"{share}/{name}.cdx.json",
                   sbom.text(name, version, parts, at).encode())
        layer.file(f"{share}/third-party-licenses.gz", gzip.compress(
            sbom.licenses(parts).encode(), compresslevel=9, mtime=0))
        layer.file(f"{share}/copyright", (HERE / "copyright").read_bytes())
    layer.file(CONFIG, (HERE / "image.conf").read_bytes())
    layer.folder("var/lib/leasehold", 0o700, USER)
    layer.folder("run/leasehold", 0o755, USER)
    return layer


def settings_of_image(version, at, layers):
    """The image's configuration, as OCI and docker have it."""
    created = time_text(at)
    second = 1_000_000_000
    return {
        "created": created, "architecture": architecture(), "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "ExposedPorts": {"4001/tcp": {}, "4002/tcp": {}},
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ["/usr/bin/leasehold-server", f"--config=/{CONFIG}"],
            "WorkingDir": "/var/lib/leasehold",
            "Volumes": {"/var/lib/leasehold": {}},
            "StopSignal": "SIGTERM",
            # Docker's; podman looks at it in docker's format alone.
            "Healthcheck": {
                "Test": ["CMD", "/usr/bin/leasehold", f"--address=unix:/{SOCKET}",
                         "--timeout=5s", "health"],
                "Interval": 10 * second, "Timeout": 10 * second,
                "StartPeriod": 60 * second, "Retries": 3,
            },
            "Labels": {
                "org.opencontainers.image.title": "leasehold-server",
                "org.opencontainers.image.description":
                    "shared, leased instances and durable orchestrations over gRPC",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.created": created,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers",
                   "diff_ids": [f"sha256:{sha256(layer)}" for layer in layers]},
        "history": [{"created": time_text(0), "created_by": "Debian's libraries"},
                    {"created": created, "created_by": f"leasehold {version}"}],
    }


def time_text(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def architecture():
    return run("dpkg", "--print-architecture").strip()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def compact(content):
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


class Archive:
    """An OCI layout, and docker's words for the same."""

    def __init__(self, at, level):
        self.level = level  # Of compression.
        self.files = Layer(at)
        self.files.file("oci-layout", compact({"imageLayoutVersion": "1.0.0"}))

    def blob(self, kind, data, **more):
        """Keeps it; its descriptor."""
        self.files.file(f"blobs/sha256/{sha256(data)}", data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "size": len(data),
                "digest": f"sha256:{sha256(data)}", **more}

    def image(self, config, layers, name, tag):
        described = [self.blob("layer.v1.tar+gzip",
                               gzip.compress(layer, self.level, mtime=0))
                     for layer in layers]
        configured = self.blob("config.v1+json", compact(config))
        manifest = self.blob("manifest.v1+json", compact({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": configured, "layers": described,
        }), platform={"architecture": config["architecture"], "os": "linux"}, annotations={
            "org.opencontainers.image.ref.name": tag,
            "io.containerd.image.name": f"{name}:{tag}",
        })
        self.files.file("index.json", compact({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest]}))
        self.files.file("manifest.json", compact([{
            "Config": blob_path(configured), "RepoTags": [f"{name}:{tag}"],
            "Layers": [blob_path(layer) for layer in described]}]))


def blob_path(descriptor):
    return f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--name", default="localhost/leasehold")
    parser.add_argument("--level", type=int, default=9)
    given = parser.parse_args()
    build = given.build.resolve()
    at = epoch()
    version = settings(build)["CPACK_PACKAGE_VERSION"]
    with tempfile.TemporaryDirectory() as scratch:
        own = own_layer(build, version, at, pathlib.Path(scratch))
    base = base_layer([build / "bin" / name for name in PROGRAMS])
    layers = [base.tar(), own.tar()]
    archive = Archive(at, given.level)
    archive.image(settings_of_image(version, at, layers), layers, given.name, version)
    given.to.mkdir(parents=True, exist_ok=True)
    path = given.to / f"leasehold-image_{version}_{architecture()}.tar"
    path.write_bytes(archive.files.tar())
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
