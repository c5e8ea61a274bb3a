"""A39: behind nginx and HAProxy, which end what carries no data for long.

Both are Debian's, with time-outs of 2 s; heartbeats come every half second.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import time

from grpc_calls import ECHO, INSTANCES, OpenCall, await_pins, get, pins
from harness import (Program, Server, check, contains, equal, expect, temporary_folder,
                     wait_until)
from instance_commands import Streaming
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
  server one {server} proto h2
"""


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % probe.getsockname()[1]


class Proxy(Program):
    """A proxy before a server: `with Proxy("nginx", server, address) as proxy`."""

    def __init__(self, name, server, address):
        self.address = address
        self.folder = temporary_folder()
        home = pathlib.Path(self.folder.name)
        template = {"nginx": NGINX, "haproxy": HAPROXY}[name]
        config = home / "config"
        config.write_text(template.format(home=home, seconds=TIMEOUT_S,
                                          address=address, server=server.address))
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
