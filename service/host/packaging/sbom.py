"""What a program of a build consists of, as an SBOM (CycloneDX) and as licenses.

gRPC, Protocol Buffers and Abseil are linked statically, so that no package depends on
theirs: an update of them reaches nobody until Leasehold is built again. The SBOM says
which versions are inside.
"""

import json
import os
import pathlib
import re
import subprocess
import urllib.parse
import uuid

# Headers that leave code in a program, and which programs have them.
HEADERS = {"/usr/include/CLI/CLI.hpp": ("leasehold-server", "leasehold"),
           "/usr/include/nlohmann/json.hpp": ("leasehold-server", "leasehold"),
           "/usr/include/boost/version.hpp": ("leasehold-server",)}


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def package_of(path):
    """The Debian package that a file is of."""
    real = os.path.realpath(path)
    names = [real, real.removeprefix("/usr"), path]  # As dpkg knows it.
    for name in names:
        done = subprocess.run(["dpkg-query", "-S", name], capture_output=True,
                              text=True, check=False)
        if done.returncode == 0:
            return done.stdout.split(": ")[0].split(",")[0].split(":")[0]
    raise SystemExit(f"no package has {path}")


def archives(build, program):
    """The archives of others that the program is linked with."""
    text = (build / "build.ninja").read_text()
    statement = re.search(rf"^build bin/{program}: .*?\n\n", text, re.M | re.S).group(0)
    libraries = re.search(r"^  LINK_LIBRARIES = (.*)$", statement, re.M).group(1)
    return sorted({word for word in libraries.split()
                   if word.startswith("/") and word.endswith(".a")})


def shared_libraries(program):
    """Those that the program itself asks the loader for."""
    needed = set(re.findall(r"NEEDED +(\S+)", output("objdump", "-p", str(program))))
    found = re.findall(r"^\s+(?:(\S+) => )?(/\S+) \(0x", output("ldd", str(program)), re.M)
    return sorted(path for name, path in found
                  if (name or pathlib.Path(path).name) in needed)


def parts_of(build, program):
    """[(package, version, source, how it is linked)], by name."""
    linked = {}
    for how, paths in (
            ("headers", [header for header, programs in HEADERS.items()
                         if program.name in programs]),
            ("shared", shared_libraries(program)),
            ("static", archives(build, program.name))):
        for path in paths:
            linked[package_of(path)] = how
    parts = []
    for package, how in sorted(linked.items()):
        version, source = output(
            "dpkg-query", "-W", "-f", "${Version}\t${source:Package}\n",
            package).split("\n")[0].split("\t")
        parts.append((package, version, source, how))
    return parts


def purl(name, version, **qualifiers):
    """The package URL of a Debian package."""
    quoted = [urllib.parse.quote(text, safe="") for text in (name, version)]
    more = "&".join(f"{key}={value}" for key, value in sorted(qualifiers.items()))
    return f"pkg:deb/debian/{quoted[0]}@{quoted[1]}?{more}"


def text(package, version, parts, time):
    architecture = output("dpkg", "--print-architecture").strip()
    own = purl(package, version, arch=architecture)
    components = [{
        "type": "library", "name": name, "version": of,
        "purl": purl(name, of, arch=architecture, source=source),
        "bom-ref": purl(name, of, arch=architecture, source=source),
        "properties": [{"name": "leasehold:linkage", "value": how}],
    } for name, of, source, how in parts]
    content = {
        "metadata": {
            "timestamp": subprocess.run(
                ["date", "-u", "-d", f"@{time}", "+%Y-%m-%dT%H:%M:%SZ"],
                capture_output=True, text=True, check=True).stdout.strip(),
            "component": {"type": "application", "name": package, "version": version,
                          "purl": own, "bom-ref": own,
                          "licenses": [{"license": {"id": "Apache-2.0"}}]},
        },
        "components": components,
        "dependencies": [{"ref": own,
                          "dependsOn": [part["bom-ref"] for part in components]}],
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5",
                       "serialNumber": f"urn:uuid:{number}", "version": 1, **content},
                      indent=1) + "\n"


def licenses(parts):
    """The terms of all code of others that the program has inside."""
    texts = []
    for package, version, _, how in parts:
        if how == "shared":
            continue
        path = pathlib.Path(f"/usr/share/doc/{package}/copyright")
        if path.is_file():
            texts.append(f"==== {package} {version}\n\n{path.read_text()}")
    return "\n".join(texts)
