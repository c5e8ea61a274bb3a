"""A39: behind nginx and HAProxy, which end what carries no data for long, and say
for whom they connect.

Both are Debian's, with time-outs of 2 s; heartbeats come every half second.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import time

from certificates import Authority
from grpc_calls import ECHO, INSTANCES, OpenCall, await_pins, get, pins
from harness import (Program, Server, check, contains, equal, expect, leasehold,
                     temporary_folder, wait_until)
from instance_commands import Streaming
from listening import has_ipv6
from raw_http2 import Connection, frame
from sidecar import Sidecar, complete

TIMEOUT_S = 2

NGINX = """
worker_processes 1; daemon off; master_process off;
pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  client_body_timeout {seconds}s;
  server {{
    listen {address} http2;
    location / {{
      grpc_pass grpc://{server};
      grpc_read_timeout {seconds}s; grpc_send_timeout {seconds}s;
    }}
  }}
}}
"""

HAPROXY = """
global
  maxconn 200
defaults
  mode http
  timeout connect 5s
  timeout client {seconds}s
  timeout server {seconds}s
frontend all
  bind {address} proto h2
  default_backend one
backend one
  server one {server} proto h2 {extra}
"""

# Passes on what it does not look into, such as TLS.
HAPROXY_TCP = HAPROXY.replace("mode http", "mode tcp").replace(" proto h2", "")


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % probe.getsockname()[1]


class Proxy(Program):
    """A proxy before a server: `with Proxy("nginx", server, address) as proxy`.

    `extra`: more words on HAProxy's line for the server."""

    def __init__(self, name, server, address, template=None, extra=""):
        self.address = address
        self.folder = temporary_folder()
        home = pathlib.Path(self.folder.name)
        template = template or {"nginx": NGINX, "haproxy": HAPROXY}[name]
        config = home / "config"
        config.write_text(template.format(home=home, seconds=TIMEOUT_S,
                                          address=address, server=server.address,
                                          extra=extra))
        # Where Debian has them, which is not on every user's path.
        program = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
        expect(program, f"{name} is not installed; `./dev test` installs it")
        super().__init__(program, "-c" if name == "nginx" else "-f", config)

    def __enter__(self):
        super().__enter__()
        host, port = self.address.rsplit(":", 1)

        def listens():
            expect(not self.ended(), f"it ended: {self.out} {self.err}")
            with socket.socket() as probe:
                return probe.connect_ex((host, int(port))) == 0
        wait_until(listens, "the proxy to listen")
        return self

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        self.folder.cleanup()


def pass_time(seconds, meanwhile=lambda: None):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        meanwhile()
        time.sleep(0.5)


def streams_stand(name):
    """Every quiet stream outlives the proxy's time-outs; so does a worker."""
    with Server("--heartbeat-interval=500ms") as server, \
            Proxy(name, server, free_address()) as proxy, \
            contextlib.ExitStack() as stack:
        def opened(method, requests=(), instance="room-1"):
            return stack.enter_context(OpenCall(
                proxy, method, requests, [f"instance-id: {instance}"]))
        hold = opened(INSTANCES + "Hold")
        join = opened(ECHO + "Join")
        watch = opened(INSTANCES + "Watch")
        echo = opened(ECHO + "EchoStream", None)
        keep_alive = opened(INSTANCES + "KeepAlive", None)
        echo.send({"text": "Apple"})
        keep_alive.send({"instance_id": "room-1"})
        streams = (hold, join, watch, echo, keep_alive)
        for stream in streams:
            stream.await_messages(1)
        sidecar = Sidecar(proxy)
        worker = stack.enter_context(sidecar.worker())
        await_pins(server, "room-1", {"hold": 1, "join": 1, "echo-stream": 1})
        generation = get(server, "room-1")["generation"]

        def we_are_there():  # The direction in which only we can speak.
            echo.send({"heartbeat": True})
            keep_alive.send({"heartbeat": True})
        pass_time(2.5 * TIMEOUT_S, we_are_there)

        for stream in streams:
            expect(not Program.ended(stream), f"{stream.args} ended: {stream.err}")
        equal(pins(get(server, "room-1")), {"hold": 1, "join": 1, "echo-stream": 1},
              "pins")
        equal(get(server, "room-1")["generation"], generation, "generation")
        expect(worker.code is None, f"the worker's stream ended: {worker.code}")
        for stream in streams:
            expect(sum("heartbeat" in m for m in stream.messages) >= 3,
                   f"heartbeats of {stream.args}: {stream.messages}")
        # Heartbeats have moved nothing.
        echo.send({"text": "Pear"})
        pear = echo.await_message(lambda m: m.get("text") == "Pear", "the echo")
        equal(pear["sequence"], "2", "sequence")
        join.await_message(lambda m: m.get("echo", {}).get("text") == "Pear", "Pear")
        sidecar.start("Main", id="a-1")
        worker.turn().complete(complete(1, '"done"'))
        equal(sidecar.wait_for_completion("a-1")["orchestrationStatus"], "COMPLETED",
              "status")


def streams_come_back(name):
    """Commands go on over a proxy that cuts them, and over one that is restarted."""
    with Server("--heartbeat-interval=1h") as server, contextlib.ExitStack() as stack:
        address = free_address()
        with Proxy(name, server, address) as proxy:
            holds = [stack.enter_context(Streaming(proxy, "instances", "hold", "room-1")),
                     stack.enter_context(Streaming(proxy, "join", "room-1"))]
            for command in holds:
                wait_until(lambda: command.out, "the first line")
            # Without heartbeats the proxy cuts them: so they are of use.
            for command in holds:
                command.await_line("err", "connection lost, reconnecting")
                command.await_line("err", "reconnected")
    with Server("--heartbeat-interval=500ms") as server, contextlib.ExitStack() as stack:
        with Proxy(name, server, address) as proxy:
            holds = [stack.enter_context(Streaming(proxy, *args)) for args in (
                ("instances", "hold", "room-1"), ("join", "room-1"),
                ("instances", "watch"))]
            for command in holds:
                wait_until(lambda: command.out, "the first line")
            pass_time(1.5 * TIMEOUT_S)
            for command in holds:
                equal(command.err, [], f"what {command.args} says")
        for command in holds:
            contains(command.await_line("err", "connection lost, reconnecting"), address)
        with Proxy(name, server, address):
            for command in holds:
                command.await_line("err", "reconnected")
            await_pins(server, "room-1", {"hold": 1, "join": 1})
            for command in holds:
                equal(command.end(signal.SIGINT), 0, f"exit code: {command.err}")


@check("A39.1 quiet streams and a worker outlive nginx's time-outs, by heartbeats")
def _():
    streams_stand("nginx")


@check("A39.2 quiet streams and a worker outlive HAProxy's time-outs, by heartbeats")
def _():
    streams_stand("haproxy")


@check("A39.3 streams that nginx cuts, or that lose it, come back and say so")
def _():
    streams_come_back("nginx")


@check("A39.4 streams that HAProxy cuts, or that lose it, come back and say so")
def _():
    streams_come_back("haproxy")


# ---- For whom they connect

WORK = "/TaskHubSidecarService/GetWorkItems"
HERE = "--proxy-protocol=127.0.0.1"


def work_from(address, **options):
    """A worker's stream that is open, on a connection of its own."""
    connection = Connection(address, **options)
    number = connection.start((), frame(b""), path=WORK)
    expect(connection.in_flight(number), "the worker's stream has ended")
    return connection


@check("A39.5 the address that HAProxy names in a PROXY header, version 1 or 2, is the "
       "worker's in the log, when it comes and when it is gone")
def _():
    for extra in ("send-proxy", "send-proxy-v2"):
        with Server(HERE, "--builtin=off") as server, \
                Proxy("haproxy", server, free_address(), extra=extra) as proxy:
            worker = work_from(proxy.address, source="127.0.0.2")
            port = worker.socket.getsockname()[1]
            line = server.await_line("err", "worker_connected")
            contains(line, f"peer=ipv4:127.0.0.2:{port}")
            worker.close()
            contains(server.await_line("err", "worker_gone"),
                     f"peer=ipv4:127.0.0.2:{port}")


@check("A39.6 --max-connections-per-address is about callers, not about the proxy")
def _():
    with Server(HERE, "--max-connections-per-address=2") as server, \
            Proxy("haproxy", server, free_address(), extra="send-proxy-v2") as proxy:
        held = [work_from(proxy.address, source=f"127.0.0.{host}")
                for host in (2, 2, 3, 3)]
        with contextlib.suppress(OSError):
            one_more = Connection(proxy.address, source="127.0.0.2")
            one_more.start((), frame(b""), path=WORK)
        line = server.await_line("err", "connection_refused")
        contains(line, "peer=127.0.0.2", "--max-connections-per-address")
        held.append(work_from(proxy.address, source="127.0.0.4"))
        for connection in held:
            connection.close()


@check("A39.7 a PROXY header comes before TLS, which HAProxy passes on")
def _():
    with temporary_folder() as folder:
        ca = Authority(folder)
        cert, key = ca.issue("server")
        with Server(HERE, f"--tls-cert={cert}", f"--tls-key={key}") as server, \
                Proxy("haproxy", server, free_address(), template=HAPROXY_TCP,
                      extra="send-proxy-v2") as proxy:
            found = leasehold(f"--address={proxy.address}", f"--ca={ca.pem}", "echo",
                              "Apple", "--id=room-1")
            equal(found.code, 0, f"exit code of {found}")
            direct = leasehold(f"--address={server.address}", f"--ca={ca.pem}",
                               "--timeout=2s", "echo", "Apple", "--id=room-1")
            equal(direct.code, 4, f"exit code of {direct}")
            contains(server.await_line("err", "connection_refused"),
                     "it sends no PROXY header")


def is_reset(address, first):
    """Whether the server ends a connection that begins so."""
    with socket.create_connection(address.rsplit(":", 1), 10) as connection:
        try:
            connection.sendall(first)
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True


@check("A39.8 who is no proxy may not send a PROXY header, and a proxy must send a good "
       "one; a flood of bad ones does not flood the log")
def _():
    header = b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"
    with Server("--proxy-protocol=10.0.0.0/8,2001:db8::/32") as server:
        expect(is_reset(server.address, header), "served with a header")
        contains(server.await_line("err", "connection_refused"), "peer=127.0.0.1",
                 "which only the proxies of --proxy-protocol may")
        server.lives()
    with Server(HERE, "--builtin=off") as server:
        named = Connection(server.address, first=header)
        number = named.start((), frame(b""), path=WORK)
        expect(named.in_flight(number), "the worker's stream has ended")
        contains(server.await_line("err", "worker_connected"),
                 "peer=ipv4:203.0.113.7:4711")
        named.close()
        for first in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                      b"PROXY TCP4 nobody\r\n", b"PROXY " + b"x" * 200,
                      b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", header + header):
            for _ in range(20):
                expect(is_reset(server.address, first), f"served with {first!r}")
        lines = [line for line in server.err if "connection_refused" in line]
        expect(0 < len(lines) <= 20, f"{len(lines)} lines on refused connections")
        again = Connection(server.address, first=header)
        equal(again.echo().code, "OK", "code")
        again.close()


@check("A39.9 gRPC's names of proxies' connections are found over IPv6 and over a listener "
       "for both kinds of addresses")
def _():
    header = b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n"
    ways = [("127.0.0.1:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.1")]
    if has_ipv6():
        ways += [("[::1]:0", "[::1]"), ("[::]:0", "[::1]"), ("[::]:0", "127.0.0.1")]
    for listen, host in ways:
        with Server("--proxy-protocol=127.0.0.1,::1", "--builtin=off", "--insecure",
                    listen=(listen,)) as server:
            port = server.address.rsplit(":", 1)[1]
            worker = work_from(f"{host}:{port}", first=header)
            contains(server.await_line("err", "worker_connected"),
                     "peer=ipv6:%5B2001:db8::7%5D:4711")
            worker.close()
