#!/usr/bin/env python3
"""The Debian packages of a build: what is in them, and what their scripts do.

usage: package_test.py --build=DIR

Nothing is installed: full_test.py does that.
"""

import argparse
import gzip
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

import notified
from packages import PATIENCE_S, contains, digest, equal, expect, make, run

SERVER_FILES = {
    "etc/leasehold/server.conf",
    "usr/bin/leasehold-server",
    "usr/lib/systemd/system/leasehold-server.service",
    "usr/lib/sysusers.d/leasehold-server.conf",
    "usr/share/bash-completion/completions/leasehold-server",
    "usr/share/doc/leasehold-server/changelog.Debian.gz",
    "usr/share/doc/leasehold-server/changelog.gz",
    "usr/share/doc/leasehold-server/copyright",
    "usr/share/doc/leasehold-server/leasehold-server.cdx.json",
    "usr/share/doc/leasehold-server/third-party-licenses.gz",
    "usr/share/fish/vendor_completions.d/leasehold-server.fish",
    "usr/share/man/man5/leasehold-server.conf.5.gz",
    "usr/share/zsh/vendor-completions/_leasehold-server",
}
CLIENT_FILES = {
    "usr/bin/leasehold",
    "usr/share/bash-completion/completions/leasehold",
    "usr/share/doc/leasehold/changelog.Debian.gz",
    "usr/share/doc/leasehold/changelog.gz",
    "usr/share/doc/leasehold/copyright",
    "usr/share/doc/leasehold/leasehold.cdx.json",
    "usr/share/doc/leasehold/third-party-licenses.gz",
    "usr/share/fish/vendor_completions.d/leasehold.fish",
    "usr/share/zsh/vendor-completions/_leasehold",
}
DEVELOPMENT_FILES = {
    "usr/include/leasehold/client/session/shared_session.h",
    "usr/include/leasehold/service/embed/instances.h",
    "usr/lib/cmake/Leasehold/LeaseholdConfig.cmake",
    "usr/lib/libleasehold_embed.a",
    "usr/share/leasehold/gcc_traps.py",
    "usr/share/leasehold/proto/leasehold/v1/echo.proto",
}
# What the unit must keep to itself.
HARDENING = (
    "Type=notify", "WatchdogSec=30s", "Restart=on-failure", "User=leasehold",
    "StateDirectory=leasehold", "StateDirectoryMode=0700", "UMask=0077", "LimitCORE=0",
    "CapabilityBoundingSet=", "NoNewPrivileges=yes", "ProtectSystem=strict",
    "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "PrivateUsers=yes",
    "RestrictNamespaces=yes", "MemoryDenyWriteExecute=yes",
    "SystemCallFilter=@system-service")


def commands(program, *words):
    """Each command of a program, as the words after its name, itself among them."""
    yield words
    text = run(program, *words, "--help")
    if "Subcommands:" in text:
        below = re.findall(r"^  ([a-z][a-z-]*)", text.split("Subcommands:")[1], re.M)
        for word in below:
            yield from commands(program, *words, word)


def check_contents(packages, version):
    equal(sorted(packages), ["leasehold", "leasehold-dev", "leasehold-server"],
          "packages")
    for name, files in (("leasehold-server", SERVER_FILES), ("leasehold", CLIENT_FILES)):
        found = {path for path in packages[name].paths()
                 if not re.match(r"usr/share/man/man[18]/", path)}
        equal(sorted(found), sorted(files), f"files of {name}")
    found = set(packages["leasehold-dev"].paths())
    equal(sorted(DEVELOPMENT_FILES - found), [], "what leasehold-dev lacks")
    expect(not any(path.startswith(("usr/bin", "etc", "usr/lib/systemd")) for path in found),
           "leasehold-dev has programs or settings")
    for package in packages.values():
        expect(re.fullmatch(rf"{version}-1~deb[0-9]+u1", package.field("Version")),
               f"version of {package.name}: {package.field('Version')}")
        times = set()
        for path, (member, _) in package.files.items():
            equal((member.uid, member.gid), (0, 0), f"owner of {path}")
            runs = path.startswith("usr/bin/") or path.endswith("/gcc_traps.py")
            wanted = 0o755 if member.isdir() or runs else 0o644
            equal(oct(member.mode), oct(wanted), f"mode of {path}")
            times.add(member.mtime)
        equal(len(times), 1, f"times of the files of {package.name}")
    print("ok  the packages have their files, of root, with one time")


def check_control(packages):
    server = packages["leasehold-server"]
    scripts = {"postinst", "postrm", "prerm"}
    equal(sorted(server.control), sorted({"control", "md5sums", "conffiles", *scripts}),
          "control files")
    for script in scripts:
        equal(oct(server.control[script][0].mode), "0o755", f"mode of {script}")
        run("sh", "-n", input=server.control[script][1].decode())
    equal(server.control["conffiles"][1].decode().split(), ["/etc/leasehold/server.conf"],
          "conffiles")
    contains(server.field("Depends"), "systemd-sysusers", "Depends of leasehold-server")
    for name in ("leasehold-server", "leasehold"):
        for library in ("libc6 ", "libssl3", "libstdc++6 "):
            contains(packages[name].field("Depends"), library, f"Depends of {name}")
    contains(packages["leasehold-dev"].field("Depends"), "libgrpc++-dev",
             "Depends of leasehold-dev")
    print("ok  the packages depend on what they need")


def check_pages(packages, programs):
    for name, section in (("leasehold-server", 8), ("leasehold", 1)):
        found = set(packages[name].paths())
        known = list(commands(programs / name))
        if section == 8:  # They stand alone, before the options.
            for word in ("check", "config", "token", "url-keys", "completion", "man"):
                known += commands(programs / name, word)
        for words in known:
            page = f"usr/share/man/man{section}/{'-'.join((name, *words))}.{section}.gz"
            expect(page in found, f"no manual page of {name} {' '.join(words)}: {page}")
            text = gzip.decompress(packages[name].files[page][1]).decode()
            for flag in re.findall(r"^  (?:-\w,)?(--[a-z-]+)",
                                   run(programs / name, *words, "--help"), re.M):
                contains(text, flag.replace("-", "\\-"), page)
        print(f"ok  {len(known)} commands of {name} have manual pages with their options")
    page = gzip.decompress(packages["leasehold-server"].files[
        "usr/share/man/man5/leasehold-server.conf.5.gz"][1]).decode()
    settings = set(re.findall(r"^  --([a-z-]+)", run(programs / "leasehold-server", "--help"),
                              re.M)) - {"version", "config"}
    equal(sorted(re.findall(r"^\.TP\n\\fB([a-z\\-]+)\\fR = ", page, re.M)),
          sorted(name.replace("-", "\\-") for name in settings), "settings in the page")
    print(f"ok  the page of the config file has all {len(settings)} settings")


def completed(script, function, *words):
    """What bash offers for the last of the words."""
    # As bash splits them, which makes a word of each equals sign.
    split = [part for word in words for part in re.split(r"(=)", word)]
    if not words[-1] or not words[-1].endswith("="):
        split = [part for part in split[:-1] if part] + split[-1:]
    else:
        split = [part for part in split if part]
    listed = " ".join(f"'{word}'" for word in split)
    return run("bash", "-c", f"source '{script}'\ncompopt() {{ :; }}\n"
               f"COMP_WORDS=({listed}) COMP_CWORD={len(split) - 1}\n{function}\n"
               'printf "%s\\n" "${COMPREPLY[@]}"').split()


def check_completion(packages, folder):
    for name in ("leasehold", "leasehold-server"):
        script = folder / name
        script.write_text(packages[name].text(
            f"usr/share/bash-completion/completions/{name}"))
    client, server = folder / "leasehold", folder / "leasehold-server"
    for words, wanted in (
            (("leasehold", "inst"), ["instances"]),
            (("leasehold", "instances", "ho"), ["hold"]),
            (("leasehold", "instances", "list", "--st"), ["--state="]),
            (("leasehold", "instances", "list", "--state=bu"), ["busy"]),
            (("leasehold", "instances", "list", "--state="),
             ["opening", "busy", "idle", "closing"]),
            (("leasehold", "instances", "list", "--out"), ["--output="]),
            (("leasehold", "--output=json", "completion", ""), ["bash", "zsh", "fish"]),
            (("leasehold", "--output=j"), ["json"]),
            (("leasehold", f"--ca={folder}/lease"),
             [str(client), str(server)])):
        equal(sorted(completed(client, "_leasehold", *words)), sorted(wanted),
              " ".join(words))
    for words, wanted in (
            (("leasehold-server", "tok"), ["token"]),
            (("leasehold-server", "token", "ne"), ["new"]),
            (("leasehold-server", "token", "new", "--id"), ["--identity="]),
            (("leasehold-server", "--log-format="), ["text", "json"])):
        equal(sorted(completed(server, "_leasehold_server", *words)), sorted(wanted),
              " ".join(words))
    for name in ("leasehold", "leasehold-server"):
        zsh = packages[name].text(f"usr/share/zsh/vendor-completions/_{name}")
        expect(zsh.startswith(f"#compdef {name}\n"), "zsh's completion says of what")
        contains(packages[name].text(
            f"usr/share/fish/vendor_completions.d/{name}.fish"), f"complete -c {name} -f\n",
                 "fish's completion")
    print("ok  bash completes commands, options, their values and files")


def check_sbom(packages, programs):
    for name in ("leasehold-server", "leasehold"):
        content = json.loads(packages[name].text(
            f"usr/share/doc/{name}/{name}.cdx.json"))
        equal(content["metadata"]["component"]["version"], packages[name].field("Version"),
              "version in the SBOM")
        linked = {part["name"]: part["properties"][0]["value"]
                  for part in content["components"]}
        for package, how in (("libgrpc-dev", "static"), ("libprotobuf-dev", "static"),
                             ("libabsl-dev", "static"), ("libcli11-dev", "headers"),
                             ("libssl3", "shared"), ("libc6", "shared")):
            equal(linked.get(package), how, f"{package} in the SBOM of {name}")
        for part in content["components"]:
            equal(part["version"], run("dpkg-query", "-W", "-f", "${Version}",
                                       part["name"]), f"version of {part['name']}")
        # Each shared library is of a package that is in it.
        needed = re.findall(r"NEEDED +(\S+)", run("objdump", "-p", programs / name))
        expect(len([how for how in linked.values() if how == "shared"])
               >= len(set(needed)) - 3, f"shared libraries of {name}: {needed}")
        terms = gzip.decompress(packages[name].files[
            f"usr/share/doc/{name}/third-party-licenses.gz"][1]).decode()
        for package, how in linked.items():
            equal(f"==== {package} " in terms, how != "shared",
                  f"license of {package}, {how}")
    print("ok  the SBOMs and licenses name what is inside")


def check_scripts(package, folder):
    """The scripts, on a root that is a folder and with commands that only note."""
    root, commands_run = folder / "root", folder / "commands"
    for name, (_, content) in package.control.items():
        if name in ("postinst", "prerm", "postrm"):
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o755)
    stubs = folder / "bin"
    stubs.mkdir()
    for name in ("systemd-sysusers", "deb-systemd-helper", "deb-systemd-invoke",
                 "systemctl", "chown"):
        (stubs / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"{commands_run}"\n')
        (stubs / name).chmod(0o755)
    for path in ("var/lib", "etc/leasehold"):
        (root / path).mkdir(parents=True)
    environment = {"PATH": f"{stubs}:{os.environ['PATH']}", "DPKG_ROOT": str(root)}
    unit = "leasehold-server.service"
    state = root / "var/lib/leasehold"

    def script(*words):
        commands_run.write_text("")
        run(folder / words[0], *words[1:], env=environment)
        return commands_run.read_text().splitlines()

    done = script("postinst", "configure", "")
    contains(done, f"systemd-sysusers --root={root} leasehold-server.conf", "postinst")
    contains(done, f"chown leasehold:leasehold {state}", "postinst")
    contains(done, f"deb-systemd-helper enable {unit}", "postinst")
    equal(oct(state.stat().st_mode & 0o7777), "0o700", "mode of the data directory")
    (state / "leasehold.db").write_text("data")
    (root / "etc/leasehold/tokens").write_text("secret")
    equal([line for line in script("postinst", "configure", "0.1.0-1")
           if line.startswith("chown")], [], "chown of data in an upgrade")
    for words in (("prerm", "upgrade", "2"), ("postrm", "upgrade", "2"),
                  ("prerm", "remove"), ("postrm", "remove")):
        script(*words)
        expect((state / "leasehold.db").is_file(), f"{words} erased data")
        expect((root / "etc/leasehold/tokens").is_file(), f"{words} erased secrets")
    contains(script("postrm", "purge"), f"deb-systemd-helper purge {unit}", "postrm")
    equal([str(path) for path in root.rglob("*leasehold*")], [], "what purge leaves")
    script("postrm", "purge")  # Once more does no harm.
    done = subprocess.run([folder / "postinst", "dance"], env=environment,
                          capture_output=True, check=False)
    equal(done.returncode, 1, "postinst with an unknown argument")
    print("ok  the scripts make and keep the data directory; purge leaves nothing")


def unit_command(unit):
    """ExecStart= of the unit, as words."""
    return re.search(r"^ExecStart=(.*)$", unit, re.M).group(1).split()


def check_unit(package, folder):
    """The server by the unit's own command line: it says how it does."""
    unit = package.text("usr/lib/systemd/system/leasehold-server.service")
    for line in HARDENING:
        contains(unit.splitlines(), line, "unit")
    root = folder / "root"
    package.extract(root)
    program, config = unit_command(unit)
    path = root / config.removeprefix("--config=/")
    # Elsewhere, and at ports that are free.
    settings = path.read_text().replace("/var/lib/leasehold", str(folder / "data"))
    path.write_text(f'{settings}\nlisten = "127.0.0.1:0"\nhttp-listen = "off"\n')
    socket = notified.Notified(folder / "notify")
    log = (folder / "log").open("w+")
    process = notified.start([root / program[1:], f"--config={path}"], folder / "notify",
                             watchdog_s=4, log=log)
    try:
        socket.wait("READY=1")
        contains(socket.wait("STATUS="), "Serving on 127.0.0.1:", "status")
        socket.wait("WATCHDOG=1")
        socket.forget()
        socket.wait("WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        socket.wait("RELOADING=1")
        socket.wait("MONOTONIC_USEC=")
        socket.wait("READY=1")
        process.terminate()
        socket.wait("STOPPING=1")
        equal(process.wait(PATIENCE_S), 0, "exit code")
        expect((folder / "data/leasehold.db").is_file(), "no data where the config says")
        # As systemd ends a server that hangs.
        process = notified.start([root / program[1:], f"--config={path}"],
                                 folder / "notify", watchdog_s=4, log=log)
        socket.wait("READY=1")
        process.send_signal(signal.SIGABRT)
        equal(process.wait(PATIENCE_S), -signal.SIGABRT, "exit code of SIGABRT")
    except SystemExit:
        log.seek(0)
        print(log.read())
        raise
    finally:
        process.kill()
        process.wait()
    print("ok  the server tells systemd when it is ready, alive, reloading and stopping")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    given = parser.parse_args()
    programs = given.build.resolve() / "bin"
    version = run(programs / "leasehold-server", "--version").split()[1]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for each in ("scripts", "completion", "unit"):
            (folder / each).mkdir()
        # Quick; the packages that are shipped are compressed by xz.
        packages = make(given.build, folder / "one", "--compression=gzip")
        check_contents(packages, version)
        check_control(packages)
        check_pages(packages, programs)
        check_completion(packages, folder / "completion")
        check_sbom(packages, programs)
        check_scripts(packages["leasehold-server"], folder / "scripts")
        check_unit(packages["leasehold-server"], folder / "unit")
        again = make(given.build, folder / "two", "--compression=gzip",
                     "--components=client")
        equal(digest(again["leasehold"]), digest(packages["leasehold"]), "two packages")
        print("ok  packed again, a package has the same bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
