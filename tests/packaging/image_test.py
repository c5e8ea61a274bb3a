#!/usr/bin/env python3
"""The container image of a build, and the files that deploy it.

usage: image_test.py --build=DIR [--podman]

The archive is looked into as podman and docker do, unpacked, and its server runs there
as the image says: with its user, its root and its command. Without root this needs
namespaces of users. With --podman the archive is loaded and run by podman, too (root,
and the packages podman and skopeo).
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

import deployment
from packages import PATIENCE_S, SOURCE, contains, equal, expect, run

MAKE = SOURCE / "service/host/packaging/make_image.py"


class Image:
    """An archive, as its readers see it: by index.json, or by docker's manifest.json."""

    def __init__(self, path):
        self.path = path
        with tarfile.open(path) as tar:
            self.files = {member.name: tar.extractfile(member).read()
                          for member in tar if member.isfile()}

    def json(self, name):
        return json.loads(self.files[name])

    def blob(self, descriptor):
        algorithm, digest = descriptor["digest"].split(":")
        data = self.files[f"blobs/{algorithm}/{digest}"]
        equal(len(data), descriptor["size"], f"size of {digest}")
        equal(hashlib.sha256(data).hexdigest(), digest, f"digest of {digest}")
        return data


def make(build, to):
    # Quick; the image that is shipped is packed tighter.
    run(sys.executable, "-B", MAKE, f"--build={build}", f"--to={to}", "--level=1")
    return Image(next(to.glob("*.tar")))


def check_layout(image, version):
    """The configuration; its layers, as tar."""
    equal(image.json("oci-layout"), {"imageLayoutVersion": "1.0.0"}, "oci-layout")
    manifests = image.json("index.json")["manifests"]
    equal(len(manifests), 1, "manifests")
    equal(manifests[0]["platform"]["os"], "linux", "platform")
    equal(manifests[0]["annotations"]["org.opencontainers.image.ref.name"], version, "tag")
    manifest = json.loads(image.blob(manifests[0]))
    config = json.loads(image.blob(manifest["config"]))
    layers = []
    for layer, diff in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        equal(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip", "layer")
        data = gzip.decompress(image.blob(layer))
        equal(f"sha256:{hashlib.sha256(data).hexdigest()}", diff, "diff_id")
        layers.append(data)
    equal(len(config["history"]), len(layers), "history")
    docker, = image.json("manifest.json")
    equal(docker["RepoTags"], [f"localhost/leasehold:{version}"], "docker's name")
    equal(image.files[docker["Config"]], image.blob(manifest["config"]), "docker's config")
    equal([image.files[path] for path in docker["Layers"]],
          [image.blob(layer) for layer in manifest["layers"]], "docker's layers")
    named = {f"blobs/sha256/{each['digest'][7:]}"
             for each in (manifests[0], manifest["config"], *manifest["layers"])}
    equal({name for name in image.files if name.startswith("blobs/")}, named, "blobs")
    size = sum(layer["size"] for layer in manifest["layers"])
    expect(size < 40_000_000, f"the image has {size} bytes")
    print(f"ok  the layout is whole: {len(layers)} layers, {size / 1e6:.1f} MB packed")
    return config["config"], layers


def check_settings(settings):
    user = settings["User"]
    expect(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), f"not a user by number: {user}")
    equal(list(settings["Volumes"]), ["/var/lib/leasehold"], "volumes")
    equal(settings["StopSignal"], "SIGTERM", "signal")
    equal(sorted(settings["ExposedPorts"]), ["4001/tcp", "4002/tcp"], "ports")
    equal(settings["Healthcheck"]["Test"][0], "CMD", "a health check without a shell")


def check_contents(layers, user):
    """{path: TarInfo} of all layers."""
    members = {}
    for number, data in enumerate(layers):
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                expect(not member.name.startswith(("/", "..")), member.name)
                expect(member.isdir() or member.name not in members,
                       f"{member.name} is in two layers")
                equal((member.uname, member.gname), ("", ""), f"owner of {member.name}")
                expect(number > 0 or member.mtime == 0, f"{member.name} has a time")
                expect(not member.mode & 0o6000, f"{member.name} is setuid")
                members[member.name] = member
    for path in ("var/lib/leasehold", "run/leasehold"):
        equal(members[path].uid, user, f"owner of {path}")
    equal(oct(members["var/lib/leasehold"].mode), "0o700", "mode of the data")
    equal([name for name, member in members.items()
           if member.uid != 0 and not member.isdir()], [], "files of others than root")
    programs = sorted(name for name, member in members.items()
                      if name.startswith(("usr/bin/", "usr/sbin/")) and not member.isdir())
    equal(programs, ["usr/bin/leasehold", "usr/bin/leasehold-server"], "programs")
    # Each library says to scanners whose it is, and under which terms.
    status = {name for name in members if name.startswith("var/lib/dpkg/status.d/")}
    for package in ("libc6", "libstdc++6", "libsqlite3-0", "ca-certificates"):
        expect(f"var/lib/dpkg/status.d/{package}" in status, f"no status of {package}")
    for name in status:
        expect(f"usr/share/doc/{name.rsplit('/')[-1]}/copyright" in members,
               f"no terms of {name}")
    print(f"ok  two programs, {len(status)} packages of Debian, nobody's else")
    return members


def unpack(layers, folder):
    for data in layers:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            tar.extraction_filter = lambda member, _: member  # Ours: all of it.
            tar.extractall(folder)  # With owners, if this is root.


class Container:
    """What a container runtime does, as far as it matters here."""

    def __init__(self, settings, folder):
        self.settings = settings
        self.folder = folder
        self.user, self.group = settings["User"].split(":")

    def command(self, *words):
        if os.geteuid() == 0:
            enter = ["/usr/sbin/chroot", f"--userspec={self.user}:{self.group}", self.folder]
        else:
            # The image's user is this one here; its files are this one's already.
            enter = ["/usr/bin/unshare", "--user", f"--map-user={self.user}",
                     f"--map-group={self.group}", f"--root={self.folder}", "--wd=/"]
        return [str(word) for word in (*enter, *words)]

    def environment(self, **more):
        return {**dict(line.split("=", 1) for line in self.settings["Env"]), **more}

    def run(self, *words, **options):
        return subprocess.run(self.command(*words), env=self.environment(),
                              capture_output=True, text=True, timeout=PATIENCE_S,
                              check=False, **options)


@contextlib.contextmanager
def served(container, *options, **variables):
    """The process and its addresses."""
    log = tempfile.TemporaryFile("w+")
    process = subprocess.Popen(
        container.command(*container.settings["Entrypoint"], "--print-address", *options),
        env=container.environment(**variables), stdout=subprocess.PIPE, stderr=log,
        text=True)
    killer = threading.Timer(PATIENCE_S, process.kill)
    killer.start()
    try:
        addresses = [process.stdout.readline() for _ in range(2)]
        expect(all(line.startswith("address=") for line in addresses),
               f"the server does not serve: {addresses}")
        yield process, [line.strip().removeprefix("address=") for line in addresses]
    except BaseException:
        log.seek(0)
        print(log.read())
        raise
    finally:
        killer.cancel()
        process.kill()
        process.wait()


def check_run(settings, folder):
    container = Container(settings, folder)
    # Nobody is let in by accident.
    done = container.run(*settings["Entrypoint"])
    equal(done.returncode, 2, f"exit code without --insecure: {done.stderr}")
    contains(done.stderr, "--insecure", "what it says then")
    variables = {"LEASEHOLD_LISTEN": "0.0.0.0:0,unix:/run/leasehold/server.sock",
                 "LEASEHOLD_HTTP_LISTEN": "off"}  # Other ports: this machine has one network.
    health = settings["Healthcheck"]["Test"][1:]
    with served(container, *deployment.kubernetes_arguments(), **variables) as (
            process, addresses):
        port = addresses[0].rsplit(":", 1)[1]
        client = ["/usr/bin/leasehold", f"--address=127.0.0.1:{port}"]
        for words in (["echo", "Apple", "--id=a"],
                      ["orchestration", "start", "Counter", "--id=c", "--input=41"]):
            done = container.run(*client, *words)
            equal(done.returncode, 0, f"{words}: {done.stderr}")
        equal(container.run(*health).stdout, "SERVING\n", "the health check")
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        if os.geteuid() == 0:
            contains(status, f"Uid:\t{container.user}\t", "the server's user")
            equal((folder / "var/lib/leasehold/leasehold.db").stat().st_uid,
                  int(container.user), "owner of the data")
        process.send_signal(getattr(signal, settings["StopSignal"]))
        equal(process.wait(PATIENCE_S), 0, "exit code")
    expect(container.run(*health).returncode != 0, "healthy without a server")
    with served(container, "--insecure", **variables) as (process, _):
        done = container.run("/usr/bin/leasehold", "--address=unix:/run/leasehold/server.sock",
                             "orchestration", "status", "c")
        contains(done.stdout, "RUNNING", "what outlived the container")
    print("ok  unpacked, the server runs as the image's user; the health check knows")


def check_podman(image, version, folder):
    """The real ones: skopeo reads the archive, podman loads and runs it."""
    shown = json.loads(run("skopeo", "inspect", f"oci-archive:{image.path}"))
    equal(len(shown["Layers"]), 2, "layers, says skopeo")
    run("skopeo", "copy", f"docker-archive:{image.path}", f"dir:{folder / 'copied'}")
    podman = ["podman", f"--root={folder / 'podman'}", f"--runroot={folder / 'run'}",
              "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none",
              "--runtime=runc"]
    contains(run(*podman, "load", f"--input={image.path}"), f"localhost/leasehold:{version}",
             "what podman loaded")
    name = f"localhost/leasehold:{version}"
    started = run(*podman, "run", "--pull=never", "--detach", "--network=host",
                  "--env=LEASEHOLD_LISTEN=127.0.0.1:0,unix:/run/leasehold/server.sock",
                  "--env=LEASEHOLD_HTTP_LISTEN=off", name, "--insecure").split()[-1]
    inside = [*podman, "exec", started, "leasehold",
              "--address=unix:/run/leasehold/server.sock"]
    end = time.monotonic() + PATIENCE_S
    while subprocess.run([*inside, "health"], capture_output=True, check=False).returncode:
        expect(time.monotonic() < end, run(*podman, "logs", started))
        time.sleep(0.2)
    contains(run(*inside, "echo", "Apple", "--id=a"), "Apple", "an echo in podman")
    run(*podman, "stop", started)
    equal(run(*podman, "inspect", "--format={{.State.ExitCode}}", started).split()[-1],
          "0", "exit code in podman")
    run(*podman, "rm", started)
    print("ok  podman loads the archive and runs it; skopeo reads it both ways")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--podman", action="store_true")
    given = parser.parse_args()
    programs = given.build.resolve() / "bin"
    version = run(programs / "leasehold-server", "--version").split()[1]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        image = make(given.build, folder / "one")
        equal(make(given.build, folder / "two").path.read_bytes(),
              image.path.read_bytes(), "two images")
        settings, layers = check_layout(image, version)
        check_settings(settings)
        check_contents(layers, int(settings["User"].split(":")[0]))
        root = folder / "root"
        unpack(layers, root)
        check_run(settings, root)
        deployment.check(programs, settings, version)
        if given.podman:
            check_podman(image, version, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
