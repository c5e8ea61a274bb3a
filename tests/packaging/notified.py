"""A server that is started as systemd starts it, and what it says to systemd."""

import os
import socket
import subprocess
import time

from packages import PATIENCE_S, expect


class Notified:
    """The socket of NOTIFY_SOCKET. `path` is where the server finds it."""

    def __init__(self, bound):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(bound))
        os.chmod(bound, 0o777)
        self.lines = []

    def wait(self, line):
        """Until it is told that; forgets what came before."""
        end = time.monotonic() + PATIENCE_S
        while not any(each.startswith(line) for each in self.lines):
            left = end - time.monotonic()
            expect(left > 0, f"waited {PATIENCE_S} s for {line}; came: {self.lines}")
            self.socket.settimeout(left)
            try:
                self.lines += self.socket.recv(4096).decode().split("\n")
            except TimeoutError:
                pass
        found = next(i for i, each in enumerate(self.lines) if each.startswith(line))
        text = self.lines[found]
        del self.lines[:found + 1]
        return text

    def forget(self):
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(4096)
        except BlockingIOError:
            pass
        self.lines = []


def start(command, notify_socket, watchdog_s, log, **variables):
    """Starts it with the environment of a service, and no other."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": str(notify_socket),
                   "WATCHDOG_USEC": str(int(watchdog_s * 1e6)), **variables}
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                            stdout=log, stderr=subprocess.STDOUT)
