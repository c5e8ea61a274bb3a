"""Certificates for checks: of an authority of one's own, and those of the guide on security."""

import re
import subprocess

import documents
import harness
from harness import equal


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """Makes certificates in a folder: NAME.pem, NAME.key."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", 2, "-subj", f"/CN={name}", "-keyout",
                f"{folder}/{name}.key", "-out", self.pem)

    @property
    def pem(self):
        return f"{self.folder}/{self.name}.pem"

    def issue(self, name, hosts="DNS:localhost,IP:127.0.0.1", days=1, subject=None):
        base = f"{self.folder}/{name}"
        with open(f"{base}.ext", "w", encoding="utf-8") as extensions:
            extensions.write(f"subjectAltName={hosts}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-subj", f"/CN={subject or name}", "-keyout",
                f"{base}.key", "-out", f"{base}.csr")
        openssl("x509", "-req", "-in", f"{base}.csr", "-CA", self.pem, "-CAkey",
                f"{self.folder}/{self.name}.key", "-CAcreateserial", "-days", days,
                "-extfile", f"{base}.ext", "-out", f"{base}.pem")
        return f"{base}.pem", f"{base}.key"


def guide_commands(folder, address="127.0.0.1"):
    """Makes the certificates of the guide on security in `folder`.

    Returns its other commands as lists of words, with the paths of the files: the
    server's, the command line's, grpcurl's.
    """
    lines = [x.replace("127.0.0.1", address) for x in guide_lines("new=")]
    programs = ("leasehold-server ", "leasehold ", "grpcurl ")
    in_shell(folder, [x for x in lines if not x.startswith(programs)])
    return [with_paths([x for x in lines if x.startswith(name)][0], folder)
            for name in programs]


def guide_lines(start):
    """The lines of the block of commands in the guide on security that begins so."""
    return documents.command_lines("security.md", "sh", start)


def in_shell(folder, lines, env=None):
    """Has a shell run them there, where our programs and grpcurl are known by name."""
    grpcurl = f'grpcurl() {{ {harness.GRPCURL} "$@"; }}'
    made = harness.run(
        "/bin/bash", "-ec", "\n".join([grpcurl, f"cd {folder}", *lines]), env={
            "PATH": f"{harness.clients}:{harness.programs}:/usr/bin:/bin", **(env or {})})
    equal(made.code, 0, f"exit code of {made}")
    return made.out


def with_paths(command, folder):
    """Its words, where files are in `folder`."""
    return [re.sub(r"(^|=)(\w+\.(pem|key|jsonl?))$", rf"\1{folder}/\2", word)
            for word in command.removesuffix("&").split()]
