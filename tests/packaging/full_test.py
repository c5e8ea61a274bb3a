#!/usr/bin/env python3
"""The Debian packages in a fresh root of Debian: installed, used, upgraded, removed,
purged, and looked at by lintian.

usage: full_test.py --build=DIR --scratch=DIR [--base=DIR] [--from=DIR]

--base is a root that debootstrap has made, to begin with a copy of it. --from has
packages of an earlier version to upgrade from; otherwise those of this build do, under
an earlier number. Needs root, debootstrap and the mirrors that apt is set up with.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import notified
from packages import PATIENCE_S, Package, contains, digest, equal, expect, make, run

UNIT = "usr/lib/systemd/system/leasehold-server.service"
# What is no part of a system that stays.
PASSING = re.compile(r"^/(proc|sys|dev|tmp|run|packages)$")


class Root:
    """A system in a folder, with a network of its own."""

    def __init__(self, folder, ending):
        self.folder = folder
        shutil.copyfile("/etc/resolv.conf", folder / "etc/resolv.conf")
        # debootstrap leaves that to the installer.
        (folder / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        run("mount", "-t", "proc", "proc", folder / "proc")
        ending.callback(run, "umount", folder / "proc")
        # For what runs; what installs has the network of the machine.
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        ending.callback(self.holder.wait)
        ending.callback(self.holder.kill)
        self.net = f"--net=/proc/{self.holder.pid}/ns/net"
        own = os.readlink("/proc/self/ns/net")
        end = time.monotonic() + PATIENCE_S
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == own:
            expect(time.monotonic() < end, "no network of its own")
            time.sleep(0.05)
        run("nsenter", self.net, "ip", "link", "set", "lo", "up")

    def run(self, *words):
        return run("chroot", self.folder, *words, env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
            "LC_ALL": "C.UTF-8"})

    def install(self, *words):
        return self.run("apt-get", "-q", "-y", "--no-install-recommends",
                        "--allow-downgrades", "install", *words)

    def put(self, packages):
        """Where the root finds them: their paths there."""
        folder = self.folder / "packages"
        folder.mkdir(exist_ok=True)
        paths = []
        for package in packages:
            shutil.copy(package.path, folder)
            paths.append(f"/packages/{package.path.name}")
        return paths

    def client(self, *words):
        return run("nsenter", self.net, "chroot", self.folder, "setpriv", "--reuid=65534",
                   "--clear-groups", "leasehold", *words)

    def named_after_us(self):
        """All files and folders whose name says that they are ours."""
        found = []
        for folder, folders, files in os.walk(self.folder):
            here = "/" + os.path.relpath(folder, self.folder).removeprefix(".")
            found += [os.path.join(here, name) for name in folders + files
                      if "leasehold" in name]
            folders[:] = [name for name in folders
                          if not PASSING.match(os.path.join(here, name))]
        return sorted(found)


class Service:
    """The server, by the unit's own command line, user and directories."""

    def __init__(self, root):
        self.root = root
        unit = (root.folder / UNIT).read_text()
        command = re.search(r"^ExecStart=(.*)$", unit, re.M).group(1).split()
        user = re.search(r"^User=(.*)$", unit, re.M).group(1)
        path = root.folder / "run/notify"
        path.unlink(missing_ok=True)
        self.socket = notified.Notified(path)
        self.log = tempfile.TemporaryFile("w+")
        self.process = notified.start(
            ["nsenter", root.net, "chroot", f"--userspec={user}:{user}", root.folder,
             "/usr/bin/env", "--chdir=/var/lib/leasehold", *command],
            "/run/notify", watchdog_s=30, log=self.log)
        try:
            self.await_ready()
        except SystemExit:
            self.stop(check=False)
            raise

    def await_ready(self):
        program = self.root.folder / "usr/bin/leasehold-server"
        if b"NOTIFY_SOCKET" in program.read_bytes():
            self.socket.wait("READY=1")
            return
        # Versions before 0.2.0 do not say it.
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(SystemExit):
                self.root.client("instances", "list")
                return
            time.sleep(0.1)
        sys.exit("the earlier server does not serve")

    def stop(self, check=True):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        self.socket.socket.close()
        if check and code == 0:
            return
        self.log.seek(0)
        print(self.log.read())
        equal(code, 0, "exit code of the server")


@contextlib.contextmanager
def service(root):
    running = Service(root)
    try:
        yield running
    except BaseException:
        running.stop(check=False)
        raise
    running.stop()


def codename():
    """Of the Debian that the packages are built on, and for."""
    release = pathlib.Path("/etc/os-release").read_text()
    return re.search(r"^VERSION_CODENAME=(\w+)$", release, re.M).group(1)


def mirror():
    """Where apt has its packages from."""
    lines = run("apt-get", "indextargets", "--format", "$(REPO_URI)",
                "Created-By: Packages", f"Codename: {codename()}").split()
    expect(lines, f"apt has no mirror of {codename()}")
    return lines[0]


def make_root(base, folder):
    if base:
        run("cp", "-a", base, folder)
    else:
        print("==  debootstrap: some two minutes", flush=True)
        run("debootstrap", "--variant=minbase", codename(), folder, mirror())


def check_first(root, packages):
    """A stranger's first minute."""
    root.run("apt-get", "-q", "update")
    started = time.monotonic()
    root.install(*root.put([packages["leasehold-server"], packages["leasehold"]]))
    with service(root):
        contains(root.client("echo", "Apple", "--id=a"), "Apple", "the first echo")
        print(f"ok  installed, started, echoed in {time.monotonic() - started:.0f} s")
        root.client("orchestration", "start", "Counter", "--id=c", "--input=41")
        root.client("orchestration", "raise-event", "c", "operation",
                    '--input={"add":1}')
        state = root.folder / "var/lib/leasehold"
        equal(oct(state.stat().st_mode & 0o7777), "0o700", "mode of the data directory")
        expect((state / "leasehold.db").stat().st_uid == state.stat().st_uid != 0,
               "the data is not the user's")
        contains(root.client("orchestration", "status", "c"), "RUNNING", "status")
    contains(root.run("getent", "passwd", "leasehold"), "/usr/sbin/nologin", "the user")


def check_upgrade(root, packages):
    config = root.folder / "etc/leasehold/server.conf"
    config.write_text(config.read_text() + '\nlog-level = "warning"\n')
    old = root.run("dpkg-query", "-W", "-f", "${Version}", "leasehold-server")
    with service(root):  # It has the data in use.
        root.install(*root.put([packages["leasehold-server"], packages["leasehold"]]))
        contains(root.client("orchestration", "status", "c"), "RUNNING", "status meanwhile")
    new = root.run("dpkg-query", "-W", "-f", "${Version}", "leasehold-server")
    expect(old != new, f"not upgraded from {old}")
    contains(config.read_text(), "warning", "the settings after the upgrade")
    with service(root):
        contains(root.client("orchestration", "status", "c"), "RUNNING", "status")
        root.client("echo", "Apple", "--id=a")
    print(f"ok  upgraded from {old} to {new} with the data in use; settings and data stay")


def check_removal(root, packages):
    (root.folder / "etc/leasehold/tokens").write_text("secret")
    root.run("apt-get", "-q", "-y", "remove", "leasehold-server", "leasehold")
    for path in ("var/lib/leasehold/leasehold.db", "etc/leasehold/server.conf",
                 "etc/leasehold/tokens"):
        expect((root.folder / path).is_file(), f"remove has erased {path}")
    expect(not (root.folder / "usr/bin/leasehold-server").exists(), "not removed")
    root.install(*root.put([packages["leasehold-server"], packages["leasehold"]]))
    with service(root):
        contains(root.client("orchestration", "status", "c"), "RUNNING", "status")
    print("ok  removed and installed again: settings and data are there")
    expect(len(root.named_after_us()) > 20, "no files of ours are found")
    root.run("apt-get", "-q", "-y", "purge", "leasehold-server", "leasehold")
    equal(root.named_after_us(), [], "what purge leaves")
    print("ok  purge leaves nothing")


def check_by_tools(root, packages):
    """lintian, systemd's own look at the unit, and the other shells."""
    root.install("lintian", "man-db", "systemd", "zsh", "fish")
    paths = root.put(packages.values())
    done = subprocess.run(
        ["chroot", root.folder, "lintian", "--allow-root", "--fail-on=error", *paths],
        capture_output=True, text=True, check=False)
    print(done.stdout.strip())
    equal(done.returncode, 0, f"lintian: {done.stderr}")
    print("ok  lintian has no errors")
    root.install(*paths)
    root.run("systemd-analyze", "verify", f"/{UNIT}")
    shown = root.run("systemd-analyze", "security", "--offline=true", "--threshold=20",
                     f"/{UNIT}")
    print("ok  " + shown.strip().splitlines()[-1].lstrip("→ "))
    for name in ("leasehold", "leasehold-server"):
        root.run("zsh", "-n", f"/usr/share/zsh/vendor-completions/_{name}")
        root.run("fish", "-n", f"/usr/share/fish/vendor_completions.d/{name}.fish")
    for words, wanted in (("instances li", "list"), ("instances list --state=b", "busy"),
                          ("--tl", "--tls"), ("instances list --outp", "--output")):
        text = root.run("fish", "-c", f'complete -C "leasehold {words}"')
        contains(text, wanted, f"fish: leasehold {words}")
    print("ok  zsh reads its completion, fish completes")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--scratch", type=pathlib.Path, required=True)
    parser.add_argument("--base", type=pathlib.Path)
    parser.add_argument("--from", type=pathlib.Path, dest="earlier")
    given = parser.parse_args()
    scratch = given.scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as ending:
        folder = pathlib.Path(ending.enter_context(
            tempfile.TemporaryDirectory(dir=scratch)))
        folder.chmod(0o755)
        packages = make(given.build, folder / "new")
        again = make(given.build, folder / "again")
        for name, package in packages.items():
            equal(digest(again[name]), digest(package), f"the bytes of {name}")
        print("ok  packed twice, the packages have the same bytes", flush=True)
        if given.earlier:
            found = [Package(path) for path in given.earlier.glob("*.deb")]
            earlier = {package.name: package for package in found}
        else:
            earlier = make(given.build, folder / "old", "--revision=0",
                           "--compression=gzip")
        make_root(given.base, folder / "root")
        root = Root(folder / "root", ending)
        check_first(root, earlier)
        check_upgrade(root, packages)
        check_removal(root, packages)
        check_by_tools(root, packages)
    return 0


if __name__ == "__main__":
    sys.exit(main())
