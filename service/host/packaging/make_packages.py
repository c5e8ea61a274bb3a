#!/usr/bin/env python3
"""Makes the Debian packages of a build.

usage: make_packages.py --build=DIR --to=DIR [--revision=1] [--compression=xz]
                        [--components=server;client;development]

Stages what is made from the programs themselves (manual pages, completions) and of
what they consist (SBOM, licenses), then has CPack pack it. The same build makes the
same bytes: all times are that of the last commit, or SOURCE_DATE_EPOCH.
"""

import argparse
import email.utils
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys

import sbom

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
# Component: package, program, section of its manual pages.
COMPONENTS = {"server": ("leasehold-server", "leasehold-server"),
              "client": ("leasehold", "leasehold"),
              "development": ("leasehold-dev", None)}


def run(*command, **options):
    """What it prints; it must end well."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}"
                 f"-- exit code {done.returncode}")
    return done.stdout


def epoch():
    """Seconds since 1970: when the source was last changed."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    done = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "log", "-1", "--format=%ct"],
        cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout.strip():
        return int(done.stdout)
    return int((ROOT / "CHANGELOG.md").stat().st_mtime)


def settings(build):
    """The variables of CPack's configuration."""
    text = (build / "CPackConfig.cmake").read_text()
    return dict(re.findall(r'^set\((CPACK_\w+) "([^"]*)"\)$', text, re.M))


def codename():
    """Of the Debian that the packages are for."""
    release = pathlib.Path("/etc/os-release").read_text()
    return re.search(r"^VERSION_CODENAME=(\w+)$", release, re.M).group(1)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def zipped(path, data):
    """As Debian wants it: without a name or a time in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, compresslevel=9, mtime=0))


def stage_documents(share, package, cpack, version, time):
    folder = share / "doc" / package
    write(folder / "copyright", (HERE / "copyright").read_text())
    zipped(folder / "changelog.gz", (ROOT / "CHANGELOG.md").read_bytes())
    zipped(folder / "changelog.Debian.gz", (
        f"leasehold ({version}) {codename()}; urgency=medium\n\n"
        "  * What has changed is in changelog.gz.\n\n"
        f" -- {cpack['CPACK_PACKAGE_CONTACT']}  "
        f"{email.utils.formatdate(time)}\n").encode())


def stage_pages(share, program, scratch):
    """Manual pages and completions, as the program itself writes them."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    # No environment may show in a default.
    clean = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    run(program, "man", scratch, env=clean)
    for page in sorted(scratch.iterdir()):
        zipped(share / "man" / f"man{page.suffix[1:]}" / f"{page.name}.gz",
               page.read_bytes())
    name = program.name
    for shell, path in (("bash", f"bash-completion/completions/{name}"),
                        ("zsh", f"zsh/vendor-completions/_{name}"),
                        ("fish", f"fish/vendor_completions.d/{name}.fish")):
        write(share / path, run(program, "completion", shell, env=clean))


def stage_parts(share, package, program, build, version, time):
    """Of what the program consists: as a list, and under which licenses."""
    parts = sbom.parts_of(build, program)
    write(share / "doc" / package / f"{package}.cdx.json",
          sbom.text(package, version, parts, time))
    zipped(share / "doc" / package / "third-party-licenses.gz",
           sbom.licenses(parts).encode())


def stage_server(stage):
    usr = stage / "server/usr"
    for source, path in (
            ("leasehold-server.service", "lib/systemd/system/leasehold-server.service"),
            ("leasehold-server.sysusers", "lib/sysusers.d/leasehold-server.conf")):
        write(usr / path, (HERE / source).read_text())
    write(stage / "server/etc/leasehold/server.conf", (HERE / "server.conf").read_text())


def stage_all(build, stage, cpack, version, time):
    shutil.rmtree(stage, ignore_errors=True)
    for component, (package, name) in COMPONENTS.items():
        share = stage / component / "usr/share"
        stage_documents(share, package, cpack, version, time)
        if name:
            program = build / "bin" / name
            stage_pages(share, program, build / "packaging-pages" / component)
            stage_parts(share, package, program, build, version, time)
    stage_server(stage)
    for path in sorted(stage.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--revision", default="1")
    parser.add_argument("--compression", default="xz")
    parser.add_argument("--components", default=";".join(COMPONENTS))
    given = parser.parse_args()
    build, to = given.build.resolve(), given.to.resolve()
    os.umask(0o022)

    time = epoch()
    cpack = settings(build)
    revision = re.sub(r"^1", given.revision, cpack["CPACK_DEBIAN_PACKAGE_RELEASE"])
    version = f"{cpack['CPACK_PACKAGE_VERSION']}-{revision}"
    stage_all(build, build / "packaging", cpack, version, time)

    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    scratch = to / "scratch"
    run("cpack", "-G", "DEB", "--config", build / "CPackConfig.cmake", "-B", scratch,
        "-D", f"CPACK_DEBIAN_PACKAGE_RELEASE={revision}",
        "-D", f"CPACK_DEBIAN_COMPRESSION_TYPE={given.compression}",
        "-D", f"CPACK_COMPONENTS_ALL={given.components}",
        cwd=build, env={**os.environ, "SOURCE_DATE_EPOCH": str(time)})
    for package in sorted(scratch.glob("*.deb")):
        print(package.rename(to / package.name))
    shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
