"""HTTP/1.1 as bytes on a socket, also such as no library would send.

    with HttpServer() as server:
        answer = server.ask("GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        equal(answer.status, 200)
"""

import json
import socket
import ssl

import harness
from harness import Failed, Server, expect


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        """The only value of that name; None: there is none."""
        found = [v for n, v in self.headers if n.lower() == name.lower()]
        expect(len(found) < 2, f"{name} is there once in {self}")
        return found[0] if found else None

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body!r}"


class Closed(Failed):
    """The server has closed the connection, without an answer."""


class RawHttp:
    """A connection. `address`: HOST:PORT, or the path of a Unix socket."""

    def __init__(self, address, tls=None):
        if address.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host.strip("[]"), int(port)))
        self.socket.settimeout(harness.PATIENCE_S)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.bytes = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
        if not data:
            raise Closed(f"the server has closed; it had sent {self.bytes!r}")
        self.bytes += data

    def _line(self):
        while b"\r\n" not in self.bytes:
            self._more()
        line, self.bytes = self.bytes.split(b"\r\n", 1)
        return line.decode()

    def _take(self, count):
        while len(self.bytes) < count:
            self._more()
        data, self.bytes = self.bytes[:count], self.bytes[count:]
        return data

    def answer(self, head=False):
        """The next answer. `head`: to HEAD."""
        version, status, _ = self._line().split(" ", 2)
        expect(version == "HTTP/1.1", f"version {version}")
        headers = []
        while line := self._line():
            name, value = line.split(": ", 1)
            headers.append((name, value))
        answer = Answer(int(status), headers, b"")
        if head or answer.status in (100, 204, 304):
            return answer
        if answer.header("Transfer-Encoding") == "chunked":
            while size := int(self._line(), 16):
                answer.body += self._take(size)
                self._line()
            self._line()
        else:
            answer.body = self._take(int(answer.header("Content-Length")))
        return answer

    def ask(self, data, head=False):
        self.send(data)
        return self.answer(head)

    def ended(self):
        """Whether the server ends the connection, and says no more."""
        try:
            self._more()
        except Closed:
            return not self.bytes
        return False


def get(path, *headers, method="GET", host="localhost"):
    """The bytes of a request without a body."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""))


class HttpServer(Server):
    """A server that listens for HTTP too."""

    def __init__(self, *flags, http="127.0.0.1:0", **options):
        super().__init__(f"--http-listen={http}", *flags, **options)

    @property
    def url(self):
        return self.await_line("err", "http_listening").split("url=")[1].split()[0].strip('"')

    @property
    def http_address(self):
        return self.url.split("://")[1]

    def http(self, tls=None):
        return RawHttp(self.http_address, tls)

    def ask(self, data, head=False):
        """An answer on a connection of its own."""
        with self.http() as connection:
            return connection.ask(data, head)
