"""An SDK's client and worker on a server that wants to know who they are.

The greeter of each language is one program: a client and a worker that reach the server
through the function of client/examples. It greets whoever is named on a line of its
standard input, `said Hello, Tokyo!`, or says why not, `failed ...`.
"""

import contextlib
import subprocess

from harness import Program, contains, expect, wait_until
from secured import Secured

CERTIFIED = "spiffe://acme.example/shop"


def running(command, env):
    return Program(*command, env=env, stdin=subprocess.PIPE)


def greets(greeter, name):
    """Client and worker both get through."""
    greeter.say(f"{name}\n")
    greeter.await_line("out", f"said Hello, {name}!")


def is_refused(greeter, *texts):
    """What the SDK says of it has the code and the server's own words."""
    said = len(greeter.out)
    greeter.say("nobody\n")
    line = greeter.await_line("out", "failed")
    contains(line.lower(), "unauthenticated")
    contains(line, *texts)
    expect(len(greeter.out) == said + 1, f"more was said: {greeter.out}")


@contextlib.contextmanager
def worker_goes(server):
    """While the body runs, something changes that makes the server end the worker's
    stream."""
    def gone():
        return sum("worker_gone" in line for line in server.server.err)
    before = gone()
    yield
    wait_until(lambda: gone() > before, "the worker's stream to end")


def outlives_its_token(command, env):
    """With TLS and a token, which is replaced in its file, spoilt, and healed.

    `command(address)` is the greeter's command line, and `env` what else it needs.
    """
    with Secured() as server, running(
            command(server.address), {**env, **server.environment}) as greeter:
        greets(greeter, "Tokyo")
        second, third = server.new_token("shop"), server.new_token("shop")
        server.reload()
        server.write_token("shop.token", second)
        with worker_goes(server):
            server.revoke(server.tokens["shop"])
        greets(greeter, "Seattle")
        server.write_token("shop.token", "lh_0123456789abcdef_wrong")
        with worker_goes(server):
            server.revoke(second)
        is_refused(greeter, "the token in authorization is not valid here")
        server.write_token("shop.token", third)
        greets(greeter, "London")


def is_known_by_its_certificate(command, env):
    """With mutual TLS and no token; a policy that forgets it is mended."""
    with Secured(certified=CERTIFIED) as server, running(
            command(server.address), {**env, **server.certified_environment}) as greeter:
        greets(greeter, "Tokyo")
        shop = server.policy["identities"]["shop"]
        del shop["certificates"]
        server.write()
        with worker_goes(server):
            server.reload()
        is_refused(greeter, "send the metadata `authorization: Bearer TOKEN`")
        shop["certificates"] = [CERTIFIED]
        server.write()
        server.reload()
        greets(greeter, "Seattle")
