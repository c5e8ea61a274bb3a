"""A server with TLS and a policy, and what its clients are told by files.

    with Secured() as server:
        leasehold(*server.access, f"--token-file={server.token_path}", "instances", "list")
"""

import os

from certificates import Authority
from harness import equal, temporary_folder
from policies import Guarded


class Secured(Guarded):
    """Its identity `shop` may call and work; there is a file with a token of it."""

    def __init__(self, *flags, certified=None):
        """`certified`: only clients with a certificate get through, and `shop` is also
        known by one of this name, a `spiffe://...`."""
        self.certificates = temporary_folder()
        ca = Authority(self.certificates.__enter__())
        self.ca, (cert, key) = ca.pem, ca.issue("server")
        self.pair = certified and ca.issue("shop", hosts=f"URI:{certified}")
        mutual = [f"--tls-client-ca={self.ca}"] if certified else []
        super().__init__(f"--tls-cert={cert}", f"--tls-key={key}", *mutual, *flags,
                         shop="acme: user, worker")
        if certified:
            self.policy["identities"]["shop"]["certificates"] = [certified]

    def __enter__(self):
        super().__enter__()
        self.token_path = self.write_token("shop.token", self.tokens["shop"])
        return self

    def __exit__(self, *what):
        super().__exit__(*what)
        self.certificates.__exit__(*what)

    def write_token(self, name, token):
        """Its path. What was there is replaced, as whoever rotates tokens does it."""
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(token + "\n")
        os.rename(path + ".new", path)
        return path

    def id_of(self, token):
        return token.split("_")[1]

    def revoke(self, token):
        """Once the server knows."""
        revoked = self.token_command("revoke", self.id_of(token))
        equal(revoked.code, 0, f"exit code of {revoked}")
        self.reload()

    @property
    def access(self):
        """The flags of a client without a token."""
        return f"--address={self.address}", f"--ca={self.ca}"

    @property
    def environment(self):
        """What the programs of client/examples read."""
        return {"LEASEHOLD_CA": self.ca, "LEASEHOLD_TOKEN_FILE": self.token_path}

    @property
    def certified_environment(self):
        """The same for a client with the certificate, and without a token."""
        cert, key = self.pair
        return {"LEASEHOLD_CA": self.ca, "LEASEHOLD_CERT": cert, "LEASEHOLD_KEY": key}
