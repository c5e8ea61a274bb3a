"""A52: the listener for HTTP: what it takes, what it refuses, and how it ends."""

import signal
import socket
import ssl

from certificates import Authority
from harness import Server, check, contains, equal, expect, refused, temporary_folder
from raw_http import Closed, HttpServer, RawHttp, get

OK_HEAD = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@check("A52.1 /healthz and /readyz answer, to curl and to anything else")
def _():
    with HttpServer() as server:
        for path in ("/healthz", "/readyz", "/healthz?x=1"):
            answer = server.ask(get(path))
            equal(answer.status, 200, f"status of {answer}")
            equal(answer.json, {"status": "SERVING"}, "body")
            equal(answer.header("Content-Type"), "application/json")
            equal(answer.header("Cache-Control"), "no-store")
            equal(answer.header("X-Content-Type-Options"), "nosniff")
            contains(answer.header("Content-Security-Policy"), "default-src 'none'")
        head = server.ask(get("/healthz", method="HEAD"), head=True)
        equal((head.status, head.header("Content-Length")), (200, "20"), "HEAD")


@check("A52.2 open are those two paths, by no other spelling; the rest is 404 or 405")
def _():
    with HttpServer() as server:
        for path in ("/healthz/", "//healthz", "/x/../healthz", "/x/healthz",
                     "/%2e%2e/healthz", "/healthz%2f", "/healthz%3f",
                     "/healthz;x", "/%2Fhealthz"):
            answer = server.ask(get(path))
            equal(answer.status, 404, f"status of {path}")
            equal(answer.json["code"], "NOT_FOUND", f"code of {path}")
        # These lead to the dashboard.
        for path in ("/", "/?/healthz"):
            equal(server.ask(get(path)).status, 302, f"status of {path}")
        for method in ("POST", "DELETE", "PUT", "OPTIONS"):
            answer = server.ask(get("/healthz", method=method))
            equal(answer.status, 405, f"status of {method}")
            equal(answer.header("Allow"), "GET, HEAD", "Allow")


# What two parsers may read in two ways, or no parser can: each is answered, and then
# the connection ends, so that nothing behind it is taken for a request.
SMUGGLING = {
    "no Host": ("GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (f"{OK_HEAD}Host: localhost\r\n\r\n", 400),
    "Content-Length beside chunked":
        (f"{OK_HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked beside Content-Length":
        (f"{OK_HEAD}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "two Content-Lengths":
        (f"{OK_HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "the same Content-Length twice":
        (f"{OK_HEAD}Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
    "a list as Content-Length": (f"{OK_HEAD}Content-Length: 1, 1\r\n\r\na", 400),
    "a negative Content-Length": (f"{OK_HEAD}Content-Length: -1\r\n\r\n", 400),
    "a signed Content-Length": (f"{OK_HEAD}Content-Length: +1\r\n\r\na", 400),
    "a huge Content-Length": (f"{OK_HEAD}Content-Length: 18446744073709551617\r\n\r\n", 400),
    "an unknown coding": (f"{OK_HEAD}Transfer-Encoding: xchunked\r\n\r\n", 501),
    "two codings": (f"{OK_HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "chunked twice": (f"{OK_HEAD}Transfer-Encoding: chunked\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked, and something": (f"{OK_HEAD}Transfer-Encoding: chunked, x\r\n\r\n", 501),
    "chunked in HTTP/1.0": ("GET /healthz HTTP/1.0\r\nHost: localhost\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a whole URL": ("GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "an authority": ("CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "a star": ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a fragment": ("GET /healthz#x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a folded field": (f"{OK_HEAD}X: a\r\n b\r\n\r\n", 400),
    "a folded coding": (f"{OK_HEAD}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    "a line that ends in LF": ("GET /healthz HTTP/1.1\nHost: localhost\r\n\r\n", 400),
    "LF alone": ("GET /healthz HTTP/1.1\nHost: localhost\n\n", 400),
    "a CR within": (f"{OK_HEAD}X: a\rb\r\n\r\n", 400),
    "a blank before the colon": (f"{OK_HEAD}X : a\r\n\r\n", 400),
    "a coding with a blank": (f"{OK_HEAD}Transfer-Encoding : chunked\r\n\r\n", 400),
    "a NUL": (f"{OK_HEAD}X: a\0b\r\n\r\n", 400),
    "no name": (f"{OK_HEAD}: a\r\n\r\n", 400),
    "no colon": (f"{OK_HEAD}X\r\n\r\n", 400),
    "a bad escape": ("GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "half an escape": ("GET /%4 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a NUL in the path": ("GET /a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "what is not UTF-8": ("GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "HTTP/2.0": ("GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    "gRPC": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "TLS": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "another method": ("BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "another expectation": (f"{OK_HEAD}Expect: 200-ok\r\n\r\n", 417),
    "a bad chunk": (f"{OK_HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "a chunk's length without end":
        (f"{OK_HEAD}Transfer-Encoding: chunked\r\n\r\n" + "0" * 70_000, 400),
    "a chunk longer than it says":
        (f"{OK_HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400),
}


@check("A52.3 what two parsers may read in two ways is refused, and ends the connection")
def _():
    with HttpServer() as server:
        for what, (data, status) in SMUGGLING.items():
            with server.http() as connection:
                try:
                    answer = connection.ask(data.encode("latin-1"))
                    equal(answer.status, status, f"status of {what}: {answer}")
                    expect(answer.json["Message"], f"message of {what}")
                    equal(answer.header("Connection"), "close", f"{what}")
                    expect(connection.ended(), f"the end after {what}")
                except Closed as closed:
                    raise Closed(f"{what}: {closed}") from None
        equal(server.ask(get("/healthz")).status, 200, "status afterwards")


@check("A52.4 heads and bodies have limits, and what is over them is answered")
def _():
    with HttpServer("--max-payload=1000") as server:
        answer = server.ask(f"{OK_HEAD}X: {'a' * 20_000}\r\n\r\n")
        equal(answer.status, 431, "a field of 20 kB")
        answer = server.ask(OK_HEAD + "".join(f"X{i}: a\r\n" for i in range(3000)) + "\r\n")
        equal(answer.status, 431, "3,000 fields")
        equal(server.ask(f"{OK_HEAD}X: {'a' * 15_000}\r\n\r\n").status, 200, "15 kB")
        body = "a" * 70_000
        answer = server.ask(f"{OK_HEAD}Content-Length: {len(body)}\r\n\r\n{body}")
        equal(answer.status, 413, "a body of 70 kB")
        answer = server.ask(f"{OK_HEAD}Transfer-Encoding: chunked\r\n\r\n"
                            f"{len(body):x}\r\n{body}\r\n0\r\n\r\n")
        equal(answer.status, 413, "in one chunk")


@check("A52.5 one connection serves many requests, also sent at once, in their order")
def _():
    with HttpServer() as server, server.http() as connection:
        for _ in range(3):
            equal(connection.ask(get("/healthz")).status, 200, "status")
        connection.send(get("/healthz") + get("/nothing") +
                        f"{OK_HEAD}Content-Length: 2\r\n\r\nab" +
                        f"{OK_HEAD}Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: x\r\n\r\n"
                        + "\r\n" + get("/readyz"))
        equal([connection.answer().status for _ in range(5)], [200, 404, 200, 200, 200])
        last = connection.ask(get("/healthz", "Connection: close"))
        equal((last.status, last.header("Connection")), (200, "close"), "the last one")
        expect(connection.ended(), "its end")


@check("A52.6 HTTP/1.0, and a client that says that it sends no more, get their answers")
def _():
    with HttpServer() as server:
        with server.http() as connection:
            answer = connection.ask("GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            equal((answer.status, answer.header("Connection")), (200, "close"), "1.0")
            expect(connection.ended(), "its end")
        with server.http() as connection:
            connection.send(get("/healthz"))
            connection.socket.shutdown(socket.SHUT_WR)
            equal(connection.answer().status, 200, "after a half close")
            expect(connection.ended(), "its end")
        with server.http() as connection:
            head = f"{OK_HEAD}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            equal(connection.ask(head).status, 100, "Expect")
            equal(connection.ask("ab").status, 200, "status after the body")


@check("A52.7 only who calls the server by a name of its own is answered: no rebinding")
def _():
    with HttpServer("--http-host=leasehold.test,10.1.2.3",
                    "--http-public-url=https://public.test/base") as server:
        port = server.http_address.rsplit(":", 1)[1]
        for host in ("localhost", f"LocalHost:{port}", "127.0.0.1", f"127.0.0.1:{port}",
                     "[::1]", "[::1]:80", "leasehold.test", "leasehold.test.:1", "10.1.2.3",
                     "public.test"):
            equal(server.ask(get("/healthz", host=host)).status, 200, f"status for {host}")
        for host in ("evil.test", "localhost.evil.test", "evil.test:80", "10.1.2.4", "",
                     "localhost:x", "localhost@evil.test", "localhost/x", "[::1", "[::2]",
                     "127.1", "2130706433", "public.test.evil.test", "localhost,evil.test"):
            answer = server.ask(get("/healthz", host=host))
            equal(answer.status, 421, f"status for {host!r}")


@check("A52.8 a page of another site gets nothing, with whatever trick it asks")
def _():
    with HttpServer("--http-public-url=https://public.test") as server:
        own = f"http://{server.http_address}"

        def status(*headers, method="GET"):
            return server.ask(get("/healthz", *headers, method=method,
                                  host=server.http_address)).status
        for site in ("cross-site", "same-site", "other"):
            equal(status(f"Sec-Fetch-Site: {site}"), 403, site)
        equal(status("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors",
                     "Sec-Fetch-Dest: image"), 403, "an image")
        equal(status("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate",
                     "Sec-Fetch-Dest: iframe"), 403, "a frame")
        equal(status("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate",
                     "Sec-Fetch-Dest: document"), 200, "a link")
        equal(status("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate",
                     "Sec-Fetch-Dest: document", method="POST"), 403, "a form")
        equal(status("Sec-Fetch-Site: none", method="POST"), 403, "POST out of nothing")
        for site in ("same-origin", "none"):
            equal(status(f"Sec-Fetch-Site: {site}"), 200, site)
        for origin in ("https://evil.test", "null", "https://" + server.http_address):
            equal(status(f"Origin: {origin}"), 403, origin)
            equal(status(f"Origin: {origin}", method="POST"), 403, origin)
        for origin in (own, "https://public.test"):
            equal(status(f"Origin: {origin}"), 200, origin)
        answer = server.ask(get("/healthz", "Origin: " + own, host=server.http_address))
        expect(not [n for n, _ in answer.headers if n.startswith("Access-Control")], "no CORS")


@check("A52.9 one address has 256 connections; silent ones go, and others are served")
def _():
    with HttpServer() as server:
        crowd = [server.http() for _ in range(256)]
        for connection in crowd:  # All are there.
            equal(connection.ask(get("/healthz")).status, 200, "status in the crowd")
        with server.http() as late:
            expect(late.ended(), "one too many is closed")
        crowd.pop().socket.close()
        equal(crowd[0].ask(get("/healthz")).status, 200, "status of one that was there")
        # Once the server knows of the end.
        for _ in range(1000):
            try:
                equal(server.ask(get("/healthz")).status, 200, "status of the next one")
                break
            except (Closed, ConnectionError):
                pass
        else:
            raise Closed("there is no room again")
        for connection in crowd:
            connection.socket.close()


@check("A52.10 a slow head is answered and cut after 10 s, others are served meanwhile")
def _():
    with HttpServer() as server, server.http() as slow, server.http() as silent:
        slow.send("GET /healthz HTTP/1.1\r\nHost: loc")
        for _ in range(20):
            equal(server.ask(get("/healthz")).status, 200, "status meanwhile")
        equal(slow.answer().status, 408, "status of the slow one")
        expect(slow.ended(), "its end")
        expect(silent.ended(), "the end of a silent one")


@check("A52.11 the port: off, in use by default, asked for and in use, beyond this machine")
def _():
    with Server("--http-listen=off") as server:
        expect(not any(line.split()[2].startswith("http") or "http://" in line
                       for line in server.err), "nothing is said of listening")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        line = refused("--listen=127.0.0.1:0", f"--http-listen={address}")
        contains(line, "--http-listen", address, "in use")
    contains(refused("--http-listen=0.0.0.0:0"), "not a loopback address", "--insecure")
    contains(refused("--http-listen=nothing"), "has no port")
    contains(refused("--http-public-url=public.test"), "must be a URL")
    contains(refused("--http-host=a.test:80"), "without ports")
    with HttpServer("--insecure", http="0.0.0.0:0") as server:
        port = server.http_address.rsplit(":", 1)[1]
        with RawHttp(f"127.0.0.1:{port}") as connection:
            equal(connection.ask(get("/healthz", host="192.168.7.7")).status, 200, "any address")
            equal(connection.ask(get("/healthz", host="evil.test")).status, 421, "no name")
    with temporary_folder() as folder, HttpServer(http=f"unix:{folder}/http") as server:
        with RawHttp(f"{folder}/http") as connection:
            equal(connection.ask(get("/healthz")).status, 200, "over a Unix socket")


@check("A52.12 over TLS with the server's certificate, which changes while it serves")
def _():
    with temporary_folder() as folder:
        ca = Authority(folder)
        cert, key = ca.issue("server")
        with HttpServer(f"--tls-cert={cert}", f"--tls-key={key}") as server:
            expect(server.url.startswith("https://"), server.url)
            trust = ssl.create_default_context(cafile=ca.pem)

            def serial():
                with server.http(trust) as connection:
                    equal(connection.ask(get("/healthz", "Connection: close")).status, 200,
                          "status")
                    found = connection.socket.getpeercert()["serialNumber"]
                    expect(connection.ended(), "a clean end")
                    return found
            before = serial()
            ca.issue("server")
            server.send_signal(signal.SIGHUP)
            server.await_line("err", "tls_changed")
            expect(serial() != before, "the new certificate is used")
            with RawHttp(server.http_address) as plain:
                refused = plain.ask(get("/healthz"))
                equal((refused.status, refused.body), (
                    400, b"this port speaks TLS: ask for https:// there\n"), "without TLS")
                expect(plain.ended(), "the end")


@check("A52.13 the end: connections that wait for nothing close, and the exit code is 0")
def _():
    with HttpServer() as server:
        with server.http() as idle, server.http() as half:
            equal(idle.ask(get("/healthz")).status, 200, "status")
            half.send("GET /he")
            equal(half.bytes, b"", "nothing yet")
            server.send_signal(signal.SIGTERM)
            expect(idle.ended(), "the idle one ends")
            equal(server.wait(), 0, "exit code")
