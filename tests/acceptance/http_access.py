"""A59: who may do what over HTTP: sessions of browsers, check-status URLs and their
keys, proxies that say for whom they connect, clients that are slow."""

import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse

from certificates import Authority
from harness import Server, check, contains, equal, expect, temporary_folder, wait_until
from policies import Guarded
from raw_http import Closed, HttpServer, RawHttp, get
import harness

WHO = "/api/v1/whoami"
RELEASE = "/api/v1/contexts/room-1:release"
DF = "/runtime/webhooks/durabletask"


def send(path, body="", *headers, method="POST", content="application/json"):
    return (get(path, *([f"Content-Type: {content}"] if body else []),
                f"Content-Length: {len(body.encode())}", *headers, method=method) + body)


def url_of(server):
    return server.server.http_address


class Web:
    """Asks a guarded server over HTTP."""

    def __init__(self, guarded, tls=None):
        self.guarded, self.tls = guarded, tls

    def ask(self, data, head=False):
        with RawHttp(url_of(self.guarded).split("://")[1], self.tls) as connection:
            return connection.ask(data, head)

    def login(self, name):
        """The session's cookie, as a browser sends it."""
        body = json.dumps({"token": self.guarded.tokens[name]})
        answer = self.ask(send("/login", body))
        equal(answer.status, 204, f"status of {answer}")
        return "Cookie: " + answer.header("Set-Cookie").split(";")[0]

    def start(self, token, path="Ping", instance=None):
        name = f"{DF}/orchestrators/{path}" + (f"/{instance}" if instance else "")
        answer = self.ask(send(name, "", f"Authorization: Bearer {token}"))
        equal(answer.status, 202, f"status of {answer}")
        return answer.json


def http(*flags):
    return ("--http-listen=127.0.0.1:0", *flags)


def path_of(url):
    parts = urllib.parse.urlsplit(url)
    return f"{parts.path}?{parts.query}"


@check("A59.1 a browser signs in with a token and goes on with a cookie that no script reads")
def _():
    with Guarded(*http(), shop="acme: user", eye="globex: viewer",
                 hand="acme: worker") as server:
        web = Web(server)
        equal(web.ask(get(WHO)).status, 401, "before")
        body = json.dumps({"token": server.tokens["shop"]})
        answer = web.ask(send("/login", body))
        equal(answer.status, 204, f"status of {answer}")
        cookie = answer.header("Set-Cookie")
        for part in ("; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"):
            contains(cookie, part)
        expect("Secure" not in cookie, "over plain HTTP no browser would keep it")
        expect(server.tokens["shop"] not in cookie, "the token is not in the cookie")
        mine = "Cookie: x=1; " + cookie.split(";")[0]
        who = web.ask(get(WHO, mine)).json
        equal((who["name"], who["tenant"], who["session"]), ("shop", "acme", True), "who")
        # A token of one's own counts more than the cookie.
        eye = web.ask(get(WHO, mine, f"Authorization: Bearer {server.tokens['eye']}")).json
        equal((eye["name"], eye["session"]), ("eye", False), "who, with a token")
        # Whoever is known may ask who it is: also a worker, who may not look at anything.
        hand = web.ask(get(WHO, f"Authorization: Bearer {server.tokens['hand']}"))
        equal(hand.status, 200, f"status of {hand}")
        equal(hand.json["roles"], ["worker"], "roles")
        equal(web.ask(send("/logout", "", mine)).status, 403, "signing out by who knows what")
        equal(web.ask(send("/logout", "", mine, "Sec-Fetch-Site: same-origin")).status, 204,
              "signing out")
        equal(web.ask(get(WHO, mine)).status, 401, "after")


@check("A59.2 what signs nobody in: no token, a wrong one, another form, too large a body")
def _():
    with Guarded(*http(), shop="acme: user") as server:
        web = Web(server)
        token = server.tokens["shop"]
        for body, status in (("", 400), ("{}", 400), ("[]", 400), ('"x"', 400), ("{", 400),
                             ('{"token": 1}', 400), ('{"token": null}', 400),
                             ('{"token": ""}', 401), ('{"token": "lh_x"}', 401),
                             (json.dumps({"token": token[:-1]}), 401),
                             (json.dumps({"token": token + " "}), 401),
                             (json.dumps({"token": "x" * 17000}), 413),
                             ("[" * 5000, 400)):
            answer = web.ask(send("/login", body))
            equal(answer.status, status, f"status of {body[:40]}: {answer}")
            expect(answer.header("Set-Cookie") is None, "no cookie")
            expect(token[14:] not in answer.body.decode(), "no word of the token")
        equal(web.ask(send("/login", '{"token": "lh_x"}')).json["Message"],
              "the token is not valid here", "what a browser is told")
        good = json.dumps({"token": token})
        form = "application/x-www-form-urlencoded"
        equal(web.ask(send("/login", good, content=form)).status, 400, "a form")
        for headers in (("Origin: https://evil.example",),
                        ("Sec-Fetch-Site: cross-site",)):
            equal(web.ask(send("/login", good, *headers)).status, 403, str(headers))
        equal(web.ask(get("/login")).status, 405, "GET")
        for bad in ("leasehold=", "leasehold=x", "leasehold=" + "A" * 43,
                    "leasehold=" + "A" * 8000):
            equal(web.ask(get(WHO, f"Cookie: {bad}")).status, 401, bad[:20])
        one, two = web.login("shop"), web.login("shop")
        both = f"{one}; {two.removeprefix('Cookie: ')}"
        equal(web.ask(get(WHO, both)).status, 401, "two sessions at once")
    with HttpServer("--store=memory") as server:
        answer = server.ask(send("/login", '{"token": "x"}'))
        equal(answer.status, 409, "without a policy")
        contains(answer.json["Message"], "--policy")


@check("A59.3 pages of others change nothing with somebody's cookie")
def _():
    with Guarded(*http(), shop="acme: user") as server:
        web = Web(server)
        cookie = web.login("shop")
        own = url_of(server)

        def status(*headers):
            return web.ask(send(RELEASE, "", cookie, *headers)).status

        equal(status(), 403, "a request that does not say whose page it is of")
        equal(status("Sec-Fetch-Site: cross-site"), 403, "another site's")
        equal(status("Sec-Fetch-Site: same-site"), 403, "a neighbour's")
        equal(status("Sec-Fetch-Site: none"), 403, "out of nothing")
        equal(status("Origin: null"), 403, "a sandbox's")
        equal(status("Origin: https://evil.example"), 403, "another origin's")
        equal(status("Sec-Fetch-Site: same-origin"), 404, "ours, of a context that is not")
        local = own.replace("127.0.0.1", "localhost")
        equal(status(f"Origin: {local}", "Sec-Fetch-Site: same-origin") in (403, 404), True,
              "ours")


@check("A59.4 a session is worth what its token is: revoked, of another role, ended by restart")
def _():
    with Guarded(*http(), shop="acme: user") as server:
        web = Web(server)
        cookie = web.login("shop")
        equal(web.ask(get(WHO, cookie)).json["roles"], ["user"], "roles")
        server.policy["identities"]["shop"]["roles"] = ["viewer"]
        server.write()
        server.reload()
        equal(web.ask(get(WHO, cookie)).json["roles"], ["viewer"], "roles of the new policy")
        equal(web.ask(send(RELEASE, "", cookie, "Sec-Fetch-Site: same-origin")).status, 403,
              "a verb of a viewer's")
        equal(server.token_command("revoke", server.tokens["shop"][3:11]).code, 0, "revoked")
        server.reload()
        equal(web.ask(get(WHO, cookie)).status, 401, "its token is revoked")


@check("A59.5 over TLS the cookie is for this host and for TLS alone")
def _():
    with temporary_folder() as folder:
        authority = Authority(folder)
        authority.issue("server", "DNS:localhost")
        with Guarded(*http(f"--tls-cert={folder}/server.pem", f"--tls-key={folder}/server.key"),
                     shop="acme: user") as server:
            tls = ssl.create_default_context(cafile=f"{folder}/ca.pem")
            web = Web(server, tls)
            answer = web.ask(send("/login", json.dumps({"token": server.tokens["shop"]})))
            cookie = answer.header("Set-Cookie")
            expect(cookie.startswith("__Host-leasehold="), cookie)
            contains(cookie, "; Secure")
            mine = "Cookie: " + cookie.split(";")[0]
            equal(web.ask(get(WHO, mine)).status, 200, "with it")
            equal(web.ask(get(WHO, mine.replace("__Host-", ""))).status, 401,
                  "under a name that others could set")


@check("A59.6 check-status URLs: --url-lifetime, and what they are not good for")
def _():
    with Guarded(*http("--url-lifetime=2s"), shop="acme: user") as server:
        web = Web(server)
        urls = web.start(server.tokens["shop"], instance="a%2Fb")
        status = path_of(urls["statusQueryGetUri"])
        equal(web.ask(get(status)).status in (200, 202), True, "the URL")
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(status).query)["code"][0]
        bad = [status + f"&code={code}",                      # Two.
               status.replace("a%2Fb", "a%2Fc"), status.replace("a%2Fb", "a%252Fb"),
               status.replace(code, ""), status.replace(code, code + "A"),
               status.replace(code, code.swapcase()),
               status.replace("taskHub=acme", "taskHub=globex"),
               status.replace("/a%2Fb", "")]                  # The list.
        texts = set()
        for path in bad:
            answer = web.ask(get(path))
            equal(answer.status, 401, f"status of {path}: {answer}")
            texts.add(answer.body)
        equal(len([t for t in texts if b"code" in t]) >= 1, True, "says it")
        purge = path_of(urls["purgeHistoryDeleteUri"])
        equal(web.ask(get(purge, method="DELETE")).status, 401, "to purge with it")
        contains(web.ask(get("/healthz")).body.decode(), "SERVING")
        wait_until(lambda: web.ask(get(status)).status == 401, "it expires")
        said = "".join(server.server.err)
        expect(code not in said, "no code in the log")


@check("A59.7 keys of URLs: a file of one's own, rotated while it serves, a bad file")
def _():
    program = harness.programs / "leasehold-server"
    with temporary_folder() as folder:
        keys = os.path.join(folder, "keys")

        def rotate(*more):
            return subprocess.run([program, "url-keys", "rotate", *more],
                                  capture_output=True, text=True, check=False)

        equal(rotate().returncode, 2, "without a place")
        equal(rotate(f"--url-keys={folder}/no/keys").returncode, 1, "without a folder")
        equal(rotate(f"--url-keys={keys}").returncode, 0, "a new file")
        equal(os.stat(keys).st_mode & 0o777, 0o600, "who may read it")
        with Guarded(*http(f"--url-keys={keys}"), shop="acme: user") as server:
            web = Web(server)

            def url():
                return path_of(web.start(server.tokens["shop"])["statusQueryGetUri"])

            def good(path):
                return web.ask(get(path)).status in (200, 202)

            def rotated():
                before = sum("url_keys_changed" in line for line in server.server.err)
                equal(rotate(f"--url-keys={keys}").returncode, 0, "rotate")
                server.server.send_signal(signal.SIGHUP)
                wait_until(lambda: sum("url_keys_changed" in line
                                       for line in server.server.err) > before,
                           "the new keys")

            first = url()
            rotated()
            second = url()
            expect(good(first) and good(second), "both are good")
            rotated()
            expect(not good(first) and good(second), "the older one is void")
            secrets = [line for line in open(keys, encoding="utf-8").read().split()
                       if len(line) == 43]
            with open(keys, "w", encoding="utf-8") as file:
                file.write("no key\n")
            server.server.send_signal(signal.SIGHUP)
            server.server.await_line("err", "url_keys_kept")
            expect(good(second), "the last good keys count")
            said = "".join(server.server.err)
            expect(not any(secret in said for secret in secrets), "no key in the log")
        refusing = Guarded(*http(f"--url-keys={keys}"), shop="acme: user")
        try:
            refusing.__enter__()
        except harness.Failed:
            pass
        else:
            refusing.__exit__(None, None, None)
            raise harness.Failed("it started with a file that has no key")


@check("A59.8 a proxy says for whom it connects; whoever else does is refused")
def _():
    header = b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n"
    with temporary_folder() as folder:
        audit = os.path.join(folder, "audit.jsonl")
        with HttpServer("--store=memory", "--http-proxy-protocol=127.0.0.1",
                        f"--audit-log={audit}") as server:
            def ask(*parts):
                with server.http() as connection:
                    for part in parts:
                        connection.send(part)
                        time.sleep(0.02)
                    return connection.answer()

            request = get("/healthz").encode()
            for parts in ((header + request,), (header[:9], header[9:], request),
                          (b"PROXY UNKNOWN\r\n" + request,),
                          (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", request)):
                equal(ask(*parts).status, 200, str(parts))
            for parts in ((request,), (b"PROXY x\r\n" + request,),
                          (header.replace(b"TCP4", b"TCP9") + request,)):
                try:
                    answer = ask(*parts)
                except Closed:
                    continue
                raise harness.Failed(f"{parts} is answered: {answer}")
            contains(server.await_line("err", "http_connection_refused"),
                     "peer=ipv4:127.0.0.1:", "which the proxies of --http-proxy-protocol must")
            with server.http() as scraping:
                scraping.send(b"PROXY UNKNOWN\r\n" + get("/metrics").encode())
                contains(scraping.answer().body.decode(), "leasehold_connections_refused_total"
                         '{listener="http",reason="proxy_header"} 3\n')
            # The address is the caller's, in the audit log and in the limits.
            equal(ask(header + send(DF + "/orchestrators/Ping/p", "").encode()).status, 202,
                  "a start")

            def audited():
                with open(audit, encoding="utf-8") as file:
                    return file.read().splitlines()
            wait_until(audited, "a line in the audit log")  # It is written by another thread.
            contains(json.dumps(json.loads(audited()[-1])), "203.0.113.7")
            # A caller without connections that are only just ending; an answer says that its
            # connection is counted.
            busy = header.replace(b"113.7", b"113.9")
            held = [server.http() for _ in range(256)]
            for each in held:
                each.send(busy + request)
                each.answer()
            with server.http() as one_more:
                one_more.send(busy)
                expect(one_more.ended(), "the 257th of one caller is refused")
            wait_until(lambda: any("too many connections" in line for line in server.err),
                       "a line on it")
            equal(ask(header.replace(b"113.7", b"113.8") + request).status, 200,
                  "another caller of that proxy")
            for each in held:
                each.socket.close()
        with HttpServer("--store=memory") as server:
            with server.http() as connection:
                connection.send(header + request)
                equal(connection.answer().status, 505, "where no proxy is trusted")


@check("A59.9 certificates of clients count over HTTP as over gRPC")
def _():
    with temporary_folder() as folder:
        authority = Authority(folder)
        authority.issue("server", "DNS:localhost")
        authority.issue("shop", "DNS:shop.example")
        other = os.path.join(folder, "other")
        os.mkdir(other)
        Authority(other).issue("shop", "DNS:shop.example")
        policy = {"tenants": {"acme": {}},
                  "identities": {"shop": {"tenant": "acme", "roles": ["user"],
                                          "certificates": ["dns:shop.example"]}}}
        with Guarded(*http(f"--tls-cert={folder}/server.pem", f"--tls-key={folder}/server.key",
                           f"--tls-client-ca={folder}/ca.pem", "--tls-client-auth=optional"),
                     policy=policy) as server:
            def context(of=None):
                tls = ssl.create_default_context(cafile=f"{folder}/ca.pem")
                if of:
                    tls.load_cert_chain(f"{of}/shop.pem", f"{of}/shop.key")
                return tls

            who = Web(server, context(folder)).ask(get(WHO))
            equal((who.status, who.json.get("name")), (200, "shop"), "with its certificate")
            equal(Web(server, context()).ask(get(WHO)).status, 401, "with none")
            try:
                answer = Web(server, context(other)).ask(get(WHO))
            except (ssl.SSLError, ConnectionError, Closed):
                contains(server.server.await_line("err", "http_connection_refused"),
                         "peer=ipv4:127.0.0.1:", "its TLS handshake failed: ")
                return
            raise harness.Failed(f"another authority's certificate: {answer}")


@check("A59.10 a slow body is answered with 408 and cut; a reader who stops reading is cut")
def _():
    with HttpServer("--store=memory") as server:
        with server.http() as slow, server.http() as deaf:
            slow.send(get(DF + "/orchestrators/Ping", "Content-Type: application/json",
                          "Content-Length: 1000", method="POST") + '"')
            deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(400):
                try:
                    deaf.socket.settimeout(0.2)
                    deaf.send(get("/ui/assets/app.css") * 20)
                except (TimeoutError, socket.timeout, OSError):
                    break
            equal(server.ask(get("/healthz")).status, 200, "others meanwhile")
            slow.socket.settimeout(harness.PATIENCE_S)
            equal(slow.answer().status, 408, "the slow body")
            expect(slow.ended(), "its connection ends")
        equal(server.ask(get("/healthz")).status, 200, "others after")


@check("A59.11 hostile texts come back as text: no header, no markup, no line of their own")
def _():
    with HttpServer("--store=memory") as server:
        evil = "<script>alert(1)</script>\"'&\r\nX-Evil: 1"
        path = urllib.parse.quote(evil, safe="")
        for target in (f"/{path}", f"{DF}/instances/{path}", f"/api/v1/contexts/{path}",
                       f"/api/v1/orchestrations/{path}", f"/ui/assets/{path}",
                       f"/api/v1/events?topics={path}", f"{DF}/instances?runtimeStatus={path}",
                       f"/api/v1/orchestrations?status={path}"):
            answer = server.ask(get(target))
            expect(400 <= answer.status < 500, f"{target}: {answer.status}")
            equal(answer.header("X-Evil"), None, "a header of its own")
            equal(answer.header("Content-Type").split(";")[0], "application/json", target)
            equal(answer.header("X-Content-Type-Options"), "nosniff", target)
            json.loads(answer.body)
        started = server.ask(send(DF + "/orchestrators/Ping/" + path.replace("%0D%0A", "%20"),
                                  ""))
        if started.status == 202:
            equal(started.header("X-Evil"), None, "a header of its own")
            expect("\n" not in started.header("Location"), "one line")
        expect(not any(line.startswith("X-Evil") for line in server.err), "no line in the log")


@check("A59.12 the receipt of a start over gRPC has the URLs, and each does what it says")
def _():
    with Guarded(*http(), shop="acme: user") as server:
        web = Web(server)
        receipt = server.as_("shop").call("leasehold.v1.Orchestration/Start",
                                          name="EchoSequence", instance_id="a/b")
        urls = receipt.urls
        equal(urls.id, "a/b", "id")
        answer = web.ask(get(path_of(urls.status_query_get_uri)))
        equal(answer.status in (200, 202), True, f"status of {answer}")
        contains(answer.json["name"], "EchoSequence")
        over_http = web.start(server.tokens["shop"], instance="c")
        names = {field.camelcase_name for field, _ in urls.ListFields()}
        equal(names, set(over_http), "the names of the URLs")
        for url in (urls.suspend_post_uri, urls.resume_post_uri, urls.terminate_post_uri):
            expect(url.startswith(url_of(server)), url)
    with HttpServer("--store=memory", "--http-public-url=https://lease.example/x") as server:
        from orchestration_commands import row
        started = row(server, "start", "Ping")
        expect(started["urls"]["statusQueryGetUri"].startswith("https://lease.example/x/"),
               started)
    with Server("--store=memory", "--http-listen=off") as server:
        from orchestration_commands import row
        expect("urls" not in row(server, "start", "Ping"), "no URLs without HTTP")


# What a path asks of one ID, and what it is told.
OF_ONE = (
    *(("GET", f"/api/v1/{path}") for path in (
        "contexts/ID", "contexts/ID/explain", "orchestrations/ID",
        "orchestrations/ID/explain", "orchestrations/ID/history",
        "orchestrations/ID/payload?field=input", "entities/@ID@k")),
    ("POST", "/api/v1/contexts/ID:release"),
    *(("POST", f"/api/v1/orchestrations/ID:{verb}") for verb in (
        "restart", "terminate", "suspend", "resume", "rewind", "purge", "raise-event")),
    ("GET", f"{DF}/instances/ID?showInput=true&showHistory=true"),
    ("DELETE", f"{DF}/instances/ID"),
    *(("POST", f"{DF}/instances/ID/{verb}") for verb in (
        "terminate", "suspend", "resume", "rewind", "restart", "raiseEvent/go")),
    ("GET", f"{DF}/entities/ID/k"))
LISTS = ("/api/v1/contexts", "/api/v1/orchestrations", "/api/v1/entities",
         f"{DF}/instances?showInput=true", f"{DF}/entities", "/metrics")


@check("A59.13 whatever one asks over HTTP about what another tenant has, the answer is that of "
       "what nobody has")
def _():
    with Guarded(*http(), shop="acme: user",
                 spy="globex: operator, user") as server:
        web = Web(server)
        mine, spy = (f"Authorization: Bearer {server.tokens[name]}" for name in ("shop", "spy"))
        started = web.ask(send(f"{DF}/orchestrators/Ping/theirs", '"sesame"', mine))
        equal(started.status, 202, f"status of {started}")
        signalled = web.ask(send(f"{DF}/entities/theirs/k?op=add", "1", mine))
        equal(signalled.status, 202, f"status of {signalled}")
        server.as_("shop").call("leasehold.v1.Echo/Echo", (("instance-id", "theirs"),),
                                text="x")

        def told(method, path, who):
            answer = web.ask(get(path, who) if method == "GET"
                             else send(path, "{}" if method == "POST" else "", who,
                                       method=method))
            return answer.status, answer.body.decode()
        for method, path in OF_ONE:
            status, body = told(method, path.replace("ID", "theirs"), spy)
            nobodys = told(method, path.replace("ID", "nobody"), spy)
            equal((status, body.replace("theirs", "nobody")), nobodys, f"{method} {path}")
            expect(status >= 400, f"{method} {path}: {status} {body}")
        for path in LISTS:
            status, body = told("GET", path, spy)
            expect(status == 200 and "theirs" not in body and "sesame" not in body,
                   f"{path}: {status} {body}")
        equal(told("DELETE", f"{DF}/instances?createdTimeFrom=2000-01-01T00:00:00Z", spy)[0],
              404, "a purge of all")
        for path in ("/api/v1/orchestrations/theirs", "/api/v1/contexts/theirs",
                     f"{DF}/instances/theirs"):
            expect(told("GET", path, mine)[0] in (200, 202), f"{path} is still there")
