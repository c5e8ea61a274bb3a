"""A44: a policy: who may call what, by tokens, certificates and web tokens."""

import base64
import json
import os
import subprocess
import time

import grpc

from certificates import (Authority, guide_commands, guide_lines, in_shell,
                          with_paths)
from harness import (Server, check, contains, equal, expect, refused, run,
                     temporary_folder, wait_until)
from policies import METHODS, ROLES, Caller, Guarded
import documents
import harness

ECHO = "leasehold.v1.Echo/Echo"
LIST = "leasehold.v1.Instances/List"
ROOM = (("instance-id", "room-1"),)

VIEWER = """
    Instances/Get Instances/List Instances/Watch
    Orchestration/Get Orchestration/List Orchestration/Count Orchestration/Watch
    Orchestration/GetHistory
    Orchestration/WaitForStart Orchestration/WaitForCompletion
    Entities/Get Entities/List Entities/Watch
    Admin/Workers Admin/Explain Admin/Stats
    Task/GetInstance Task/QueryInstances Task/ListInstanceIds
    Task/WaitForInstanceStart Task/WaitForInstanceCompletion
    Task/GetEntity Task/QueryEntities"""
USER = """
    Echo/Echo Echo/EchoStream Echo/Join
    Instances/Create Instances/Hold Instances/KeepAlive Instances/SetIdleTimeout
    Instances/Release
    Orchestration/Start Orchestration/RaiseEvent Orchestration/Suspend
    Orchestration/Resume Orchestration/Terminate Orchestration/Restart
    Entities/Signal Entities/Call
    Task/StartInstance Task/RaiseEvent Task/SuspendInstance Task/ResumeInstance
    Task/TerminateInstance Task/RestartInstance Task/SignalEntity
    Task/SkipGracefulOrchestrationTerminations"""
WORKER = """
    Task/GetWorkItems Task/StreamInstanceHistory Task/CompleteActivityTask
    Task/CompleteOrchestratorTask Task/CompleteEntityTask
    Task/AbandonTaskActivityWorkItem Task/AbandonTaskOrchestratorWorkItem
    Task/AbandonTaskEntityWorkItem"""
OPERATOR = """
    Orchestration/Rewind Orchestration/Purge Orchestration/PurgeMany
    Entities/Delete Entities/LimitLock
    Task/RewindInstance Task/PurgeInstances Task/CleanEntityStorage
    Task/CreateTaskHub Task/DeleteTaskHub"""
ALLOWED = {"anyone": "Health/Check Health/Watch",
           "any": "Task/Hello",
           "viewer": VIEWER, "user": USER, "worker": WORKER, "operator": OPERATOR}


def may(role, asked):
    return (asked in ("anyone", role) or role == "operator"
            or asked == "any" and role is not None
            or asked == "viewer" and role == "user")


def full_name(short):
    service, method = short.split("/")
    service = {"Task": "TaskHubSidecarService", "Health": "grpc.health.v1.Health"}.get(
        service, f"leasehold.v1.{service}")
    return f"{service}/{method}"


ASKED = {full_name(short): role for role, methods in ALLOWED.items()
         for short in methods.split()}


@check("A44.1 with a policy nobody gets through without a credential, but to health")
def _():
    with Guarded(shop="acme: user") as server:
        stranger = Caller(server, None)
        code, message, _ = stranger.outcome(ECHO, ROOM)
        equal(code, "UNAUTHENTICATED", "code")
        contains(message, "authorization: Bearer TOKEN")
        equal(stranger.code("grpc.health.v1.Health/Check"), "OK", "code of health")
        equal(server.as_("shop").code(ECHO, ROOM), "OK", "code with a token")
        # Reflection is for those who have a role.
        for token, wanted in ((None, "Unauthenticated"), (server.tokens["shop"], None)):
            flags = ["-H", f"authorization: Bearer {token}"] if token else []
            found = harness.grpcurl("-plaintext", *flags, server.address, "list")
            equal(found.code == 0, wanted is None, f"success of {found}")
            contains(found.err, wanted or "")


@check("A44.2 each method of each service asks for its role, and for no other")
def _():
    equal(sorted(ASKED), sorted(METHODS), "methods with a role, and methods there are")
    with Guarded(**{role: f"acme: {role}" for role in ROLES}) as server:
        channel = server.channel()
        for method, asked in ASKED.items():
            for role in (None, *ROLES):
                caller = (server.as_(role, channel) if role
                          else Caller(server, None, channel))
                # What is let in may wait; a refusal comes whatever the machine does.
                code = caller.code(method, ROOM, _timeout=(
                    0.5 if may(role, asked) else harness.PATIENCE_S))
                if may(role, asked):
                    expect(code not in ("UNAUTHENTICATED", "PERMISSION_DENIED"),
                           f"{role} may not call {method}: {code}")
                else:
                    equal(code, "PERMISSION_DENIED" if role else "UNAUTHENTICATED",
                          f"code of {method} for {role}")


@check("A44.3 a refusal names what is missing; a release by force needs an operator")
def _():
    with Guarded(report="acme: viewer", shop="acme: user", ops="acme: operator") as server:
        equal(server.as_("report").outcome(ECHO, ROOM)[:2],
              ("PERMISSION_DENIED",
               'leasehold.v1.Echo/Echo needs the role user; "report" has viewer'), "refusal")
        shop = server.as_("shop")
        shop.call(ECHO, ROOM)
        code, message, _ = shop.outcome("leasehold.v1.Instances/Release",
                                        instance_id="room-1", force=True)
        equal(code, "PERMISSION_DENIED", "code")
        contains(message, "force", "operator")
        equal(server.as_("ops").code("leasehold.v1.Instances/Release",
                                     instance_id="room-1", force=True), "OK", "code")


@check("A44.4 wrong credentials: each is refused as such, and none is quoted")
def _():
    with Guarded(shop="acme: user", ops="globex: operator") as server:
        good = server.tokens["shop"]
        other = server.tokens["ops"]
        flipped = good[:-1] + ("A" if good[-1] != "A" else "B")
        mixed = other[:11] + good[11:]  # The ID of one, the secret of another.
        for value in ("", "Bearer", "Bearer ", "Basic c2hvcDpzZWNyZXQ=", good,
                      f"Bearer {flipped}", f"Bearer {mixed}", f"Bearer {good}x",
                      f"Bearer {good[:-1]}", "Bearer lh_", "Bearer lh__",
                      f"Bearer  {good}", f"Bearer {good},Bearer {other}",
                      "Bearer " + "x" * 4000):
            caller = Caller(server, None, metadata=[("authorization", value)])
            code, message, _ = caller.outcome(ECHO, ROOM)
            equal(code, "UNAUTHENTICATED", f"code of {value[:80]!r}")
            expect(good[12:30] not in message and other[12:30] not in message,
                   f"the message quotes a secret: {message}")
        twice = Caller(server, good, metadata=[("authorization", f"Bearer {other}")])
        code, message, _ = twice.outcome(ECHO, ROOM)
        equal(code, "UNAUTHENTICATED", "code")
        contains(message, "more than once")
        # More metadata than the server takes at all.
        huge = Caller(server, "x" * 20_000)
        expect(huge.code(ECHO, ROOM) != "OK", "a token of 20 kB is accepted")
        equal(Caller(server, None, metadata=[("authorization", f"bEaReR {good}")])
              .code(ECHO, ROOM), "OK", "code of another spelling of Bearer")
        said = "\n".join(server.server.err)
        for token in server.tokens.values():
            expect(token[12:] not in said, "a secret is in the log")


@check("A44.5 each call is judged by itself, whatever else its connection carries")
def _():
    with Guarded(shop="acme: user", other="globex: user") as server:
        connection = server.channel()
        shop, other = (server.as_(name, connection) for name in ("shop", "other"))
        for count in (1, 2, 3):
            for caller in (shop, other):
                equal(caller.call(ECHO, ROOM, text="x").sequence, count,
                      "sequence of a room of one's own")
            equal(Caller(server, None, connection).code(ECHO, ROOM), "UNAUTHENTICATED",
                  "code")


def opened(caller):
    """{method: a call that stays open, and has come to the server}"""
    caller.call("leasehold.v1.Orchestration/Start", name="Nobody", instance_id="waits")
    caller.call("leasehold.v1.Entities/Signal", instance_id="@nobody@a", operation="x")
    calls = {}
    for method in METHODS:
        if "health" in method:
            continue  # Open to all.
        fields = {"instance_id": "waits"}
        if "Entities" in method:
            fields["instance_id"] = "@nobody@a"
        if method.startswith("TaskHub"):
            fields = {"instanceId": "waits"} if "Wait" in method else {}
        if "Call" in method:
            fields["operation"] = "get"
        if "Echo/" in method or "Instances/" in method:
            fields = {}
        if METHODS[method].server_streaming and "History" not in method or (
                "WaitFor" in method or method.endswith("Entities/Call")):
            calls[method] = caller.begin(method, () if fields else ROOM, _more=True,
                                         **fields)
    return calls


@check("A44.6 a token that was revoked, or has expired, ends all that is open")
def _():
    with Guarded(shop="acme: user, worker") as server:
        second = server.new_token("shop")
        server.reload()
        kept, gone = server.as_("shop"), server.with_token(second)
        still = kept.begin("leasehold.v1.Echo/Join", ROOM)
        next(still)
        calls = opened(gone)
        expect(len(calls) > 10, f"calls that stay open: {sorted(calls)}")
        for method, call in calls.items():
            if METHODS[method].server_streaming and method != "leasehold.v1.Instances/Watch":
                call.initial_metadata()
        wait_until(lambda: kept.code(ECHO, ROOM) == "OK", "a call after them")
        token_id = second[3:11]
        contains(server.token_command("list").out, f"{token_id} shop never")
        equal(server.token_command("revoke", token_id).code, 0, "exit code")
        server.reload()
        for method, call in calls.items():
            if METHODS[method].server_streaming:
                try:
                    for _ in call:
                        pass
                except grpc.RpcError as error:
                    equal(error.code().name, "UNAUTHENTICATED", f"code of {method}")
                else:
                    expect(False, f"{method} has ended without an error")
        equal(gone.code(ECHO, ROOM), "UNAUTHENTICATED", "code")
        kept.call(ECHO, ROOM, text="still here")
        expect(any(x.echo.text == "still here" for x in still), "the other stream ends")
        equal(server.token_command("revoke", token_id).code, 1, "exit code")
        # What a wait would have said, it does not say any more.
        kept.call("leasehold.v1.Orchestration/Terminate", instance_id="waits",
                  output='"s3cr3t"')
        for method, call in calls.items():
            if "WaitForCompletion" in method or "WaitForInstanceCompletion" in method:
                equal(call.code().name, "UNAUTHENTICATED", f"code of {method}")

        brief = server.with_token(server.new_token("shop", "--expires-in=1ns"))
        server.reload()
        code, message, _ = brief.outcome(ECHO, ROOM)
        equal(code, "UNAUTHENTICATED", "code")
        contains(message, "has expired at")


@check("A44.7 a policy that changes counts at once; a wrong one changes nothing")
def _():
    with Guarded(shop="acme: user") as server:
        shop = server.as_("shop")
        stream = shop.begin("leasehold.v1.Echo/Join", ROOM)
        next(stream)
        server.policy["identities"]["shop"]["roles"] = ["viewer"]
        server.write()
        server.reload()
        try:
            next(stream)
            expect(False, "the stream goes on")
        except grpc.RpcError as error:
            equal(error.code().name, "PERMISSION_DENIED", "code of the stream")
        equal(shop.code(ECHO, ROOM), "PERMISSION_DENIED", "code")
        equal(shop.code(LIST), "OK", "code")

        # Whoever is taken out in a hurry is out, whatever the token file says.
        good = json.dumps(server.policy)
        del server.policy["identities"]["shop"]
        server.policy["identities"]["other"] = {"tenant": "acme", "roles": ["user"]}
        server.write()
        server.reload()
        equal(shop.code(LIST), "UNAUTHENTICATED", "code of somebody who is out")
        contains("\n".join(server.server.err), "tokens_of_nobody count=1")
        server.policy = json.loads(good)
        server.write()
        server.reload()
        equal(shop.code(LIST), "OK", "code")
        server.policy["identities"]["shop"]["roles"] = ["boss"]
        server.write()
        server.reload("policy_kept")
        contains("\n".join(server.server.err), 'identities.shop.roles[0]: \\"boss\\" is no role')
        equal(shop.code(LIST), "OK", "code by the last good policy")
        os.remove(server.path)
        server.reload("policy_kept")
        equal(shop.code(LIST), "OK", "code by the last good policy")
        server.policy = json.loads(good)
        server.policy["identities"]["shop"]["tenant"] = "default"
        server.write()
        stream = shop.begin("leasehold.v1.Instances/Watch")
        next(stream)
        server.reload()
        try:
            for _ in stream:
                pass
            expect(False, "the stream goes on")
        except grpc.RpcError as error:
            equal(error.code().name, "UNAUTHENTICATED", "code of a stream in the old tenant")


@check("A44.8 wrong policies are refused at the start, with the place and what is right")
def _():
    right = {"tenants": {"acme": {}},
             "identities": {"shop": {"tenant": "acme", "roles": ["user"]}}}

    def changed(**more):
        return json.dumps({**right, **more})

    def identity(**more):
        return changed(identities={"shop": {"tenant": "acme", "roles": ["user"], **more}})

    with temporary_folder() as folder:
        path = f"{folder}/policy.json"
        tokens = f"{folder}/tokens"
        for text, names in (
                ("", ["is not JSON"]), ("[]", ["must be an object"]),
                ("[" * 200_000, ["is not JSON", "nested deeper"]),
                (changed(identitys={}), ['"identitys"', "known are"]),
                (identity(tenant="acm"), ["identities.shop.tenant", '"acm"']),
                (identity(roles=[]), ["identities.shop.roles", "not empty"]),
                (identity(roles="user"), ["identities.shop.roles", "list"]),
                (identity(roles=["users"]), ["identities.shop.roles[0]", "viewer, user"]),
                (identity(role="user"), ["identities.shop", '"role"']),
                (identity(task_hubs=["x"]), ["identities.shop.task_hubs[0]"]),
                (identity(certificates=["x"]), ["identities.shop.certificates[0]", "dns:"]),
                (changed(identities={"a b": {"roles": ["user"]}}), ['"a b"', "letters"]),
                (changed(tenants={"": {}}), ["tenants", "1 to 64"]),
                (changed(tenants={"a": {"x": 1}}), ["tenants.a"]),
                (changed(token_file="none"), ["none", "cannot be read"]),
                (changed(token_file="tokens"), [tokens, "line 1", "4: ID HASH"]),
                (changed(jwt=[{"issuer": "x"}]), ["jwt[0].audience", "is missing"]),
                (changed(jwt=[{"issuer": "x", "audience": "y", "jwks_file": "z",
                               "tenant": "acme"}]), ["jwt[0].role_map", "is missing"]),
                (changed(jwt=[{"role_map": {}}]), ["jwt[0].role_map", "not empty"]),
                (changed(jwt=[{"issuer": "x", "audience": "y", "jwks_file": "z",
                               "tenant_claim": "t"}]), ["jwt[0]", "tenants"]),
                (changed(anonymous={"tenant": "x", "roles": ["user"]}), ["anonymous.tenant"])):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            with open(tokens, "w", encoding="utf-8") as file:
                file.write("nonsense\n")
            refused(f"--policy={path}", names=[folder, *names])
        refused(f"--policy={folder}/missing.json", names=["cannot be read"])


@check("A44.9 certificates: a SPIFFE ID, then a DNS name, then the common name")
def _():
    with temporary_folder() as folder:
        ca, clients, strangers = (Authority(folder, name)
                                  for name in ("ca", "clients", "strangers"))
        cert, key = ca.issue("server")
        by_name = {"spiffe": clients.issue("one", "URI:spiffe://acme.example/shop"),
                   "dns": clients.issue("two", "DNS:shop.acme.example"),
                   "cn": clients.issue("three", "IP:127.0.0.1"),
                   "none": clients.issue("four", "DNS:nobody.example"),
                   # What looks like a better name in a worse place.
                   "cn trick": clients.issue("nine", "DNS:nobody.example",
                                             subject="three"),
                   "trick": clients.issue("five", "DNS:nobody.example",
                                          subject="spiffe:\\/\\/acme.example\\/shop"),
                   "dns trick": clients.issue("six", "IP:127.0.0.1",
                                              subject="shop.acme.example"),
                   "expired": clients.issue("seven", "URI:spiffe://acme.example/shop",
                                            days=-1),
                   "strange": strangers.issue("eight", "URI:spiffe://acme.example/shop",
                                              subject="three")}
        identities = {
            "spiffe": ["spiffe://acme.example/shop"], "dns": ["dns:shop.acme.example"],
            "cn": ["cn:three"]}
        policy = {"tenants": {"acme": {}, "globex": {}}, "identities": {
            name: {"tenant": "acme", "roles": ["user"], "certificates": names}
            for name, names in identities.items()}}
        policy["identities"]["token"] = {"tenant": "globex", "roles": ["user"]}
        policy["identities"]["same"] = {"tenant": "acme", "roles": ["viewer"]}
        with Guarded(f"--tls-cert={cert}", f"--tls-key={key}",
                     f"--tls-client-ca={clients.pem}", "--tls-client-auth=optional",
                     policy=policy) as server:
            def read(path):
                with open(path, "rb") as file:
                    return file.read()

            def channel(name):
                pair = by_name.get(name)
                made = grpc.secure_channel(server.address, grpc.ssl_channel_credentials(
                    read(ca.pem), *((read(pair[1]), read(pair[0])) if pair else ())),
                    [("grpc.use_local_subchannel_pool", 1)])
                server.channels.append(made)
                return made

            for name in identities:
                equal(Caller(server, None, channel(name)).code(ECHO, ROOM), "OK",
                      f"code of {name}")
            for name in ("expired", "strange"):
                equal(Caller(server, None, channel(name)).code(ECHO, ROOM), "UNAVAILABLE",
                      f"code of {name}")
            for name in ("none", "trick", "dns trick", "cn trick", None):
                code, message, _ = Caller(server, None, channel(name)).outcome(ECHO, ROOM)
                equal(code, "UNAUTHENTICATED", f"code of {name}")
                contains(message, "client certificate")
            # A token decides, unless the certificate is another tenant's.
            globex, same = server.new_token("token"), server.new_token("same")
            server.reload()
            equal(Caller(server, globex, channel(None)).code(ECHO, ROOM), "OK", "code")
            equal(Caller(server, same, channel("cn")).code(ECHO, ROOM),
                  "PERMISSION_DENIED", "code by the token's role")
            code, message, _ = Caller(server, globex, channel("cn")).outcome(ECHO, ROOM)
            equal(code, "UNAUTHENTICATED", "code")
            contains(message, "different tenants")


def b64(data):
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An RSA key of its own, and web tokens that it signs."""

    def __init__(self, folder, name="issuer"):
        self.key = f"{folder}/{name}.key"
        self.run("genrsa", "-out", self.key, "2048")
        modulus = self.run("rsa", "-in", self.key, "-noout", "-modulus").decode()
        self.n = bytes.fromhex(modulus.strip().split("=")[1])

    @staticmethod
    def run(*arguments, data=None):
        return subprocess.run(["openssl", *arguments], input=data, check=True,
                              capture_output=True).stdout

    def jwks(self):
        return {"keys": [{"kty": "RSA", "kid": "k1", "n": b64(self.n), "e": "AQAB"}]}

    def token(self, header=None, **claims):
        now = int(time.time())
        claims = {"iss": "https://issuer.example", "aud": "leasehold", "exp": now + 600,
                  "sub": "alice", "tenant": "acme", "roles": ["user"], **claims}
        text = (b64({"alg": "RS256", "kid": "k1", **(header or {})}) + "."
                + b64({k: v for k, v in claims.items() if v is not None}))
        signature = self.run("dgst", "-sha256", "-sign", self.key, data=text.encode())
        return f"{text}.{b64(signature)}"


@check("A44.10 web tokens: those of the trusted issuer, for us, now; none else")
def _():
    now = int(time.time())
    policy = {"tenants": {"acme": {}, "globex": {}},
              "identities": {"ops": {"tenant": "acme", "roles": ["operator"],
                                     "task_hubs": ["globex"]}},
              "jwt": [{"issuer": "https://issuer.example", "audience": "leasehold",
                       "jwks_file": "keys.json", "tenant_claim": "tenant",
                       "tenants": ["acme", "globex"],
                       "role_map": {"user": ["user"], "admins": ["operator"]}}]}
    with temporary_folder() as keys:
        issuer, other = Issuer(keys), Issuer(keys, "other")
        with open(f"{keys}/keys.json", "w", encoding="utf-8") as file:
            json.dump(issuer.jwks(), file)
        policy["jwt"][0]["jwks_file"] = f"{keys}/keys.json"
        with Guarded(policy=policy) as server:
            def code(token, method=ECHO, *more):
                return Caller(server, token, metadata=more).code(method, ROOM)

            good = issuer.token()
            for _ in range(2):  # The second time it is known.
                equal(code(good), "OK", "code of a good one")
            equal(code(issuer.token(roles=["admins"]),
                       "leasehold.v1.Orchestration/PurgeMany"), "INVALID_ARGUMENT",
                  "code of an admin who names nothing to purge")
            equal(code(issuer.token(roles=["operator"])), "PERMISSION_DENIED",
                  "code of a role that the map does not have")
            for what, token in {
                    "expired": issuer.token(exp=now - 3600),
                    "without exp": issuer.token(exp=None),
                    "not yet": issuer.token(nbf=now + 3600),
                    "other audience": issuer.token(aud="somebody"),
                    "other issuer": issuer.token(iss="https://other.example"),
                    "other key": other.token(),
                    "none": b64({"alg": "none"}) + "." + good.split(".")[1] + ".",
                    "other tenant": issuer.token(tenant="initech"),
                    "no tenant": issuer.token(tenant=None),
                    "the default tenant": issuer.token(tenant="default"),
                    "nobody's": issuer.token(sub=None),
                    "jku": other.token({"jku": f"file://{keys}/other"}),
                    "kid": issuer.token({"kid": "../../etc/passwd"}),
                    "damaged": good[:-4] + "AAAA",
                    "nonsense": "a.b.c"}.items():
                equal(code(token), "UNAUTHENTICATED", f"code of: {what}")
            # Somebody whom the issuer calls by an identity's name is not that one.
            named = issuer.token(sub="ops", roles=["user"])
            equal(code(named, ECHO, ("taskhub", "globex")), "OK", "code")
            server.tokens["ops"] = server.new_token("ops")
            server.reload()
            ops = server.as_("ops").with_metadata(("taskhub", "globex"))
            expect(not ops.call(LIST).instances, "it has reached another tenant")


@check("A44.11 a task hub chooses among the tenants of a credential, and no other")
def _():
    policy = {"tenants": {"acme": {}, "globex": {}, "initech": {}},
              "identities": {"both": {"tenant": "acme", "roles": ["user"],
                                      "task_hubs": ["globex"]},
                             "one": {"tenant": "acme", "roles": ["user"]}}}
    with Guarded(policy=policy) as server:
        server.tokens = {name: server.new_token(name) for name in ("both", "one")}
        server.reload()
        both, one = server.as_("both"), server.as_("one")

        def rooms(caller, hub=None):
            chosen = caller.with_metadata(("taskhub", hub)) if hub else caller
            chosen.call(ECHO, [("instance-id", f"of-{hub}")], text="x")
            return sorted(i.instance_id for i in chosen.call(LIST).instances)

        equal(rooms(both), ["of-None"], "rooms")
        equal(rooms(both, "globex"), ["of-globex"], "rooms there")
        equal(rooms(both, "default"), ["of-None", "of-default"], "rooms")
        equal(rooms(both, "acme"), ["of-None", "of-acme", "of-default"], "rooms")
        code, message, _ = both.with_metadata(("taskhub", "initech")).outcome(ECHO, ROOM)
        equal(code, "PERMISSION_DENIED", "code")
        contains(message, '"initech"')
        # Whoever has only one tenant may say what its SDK likes.
        equal(rooms(one, "initech"),
              ["of-None", "of-acme", "of-default", "of-initech"], "rooms")


@check("A44.12 whoever shows nothing may be somebody, if the policy says so")
def _():
    with Guarded(policy={"anonymous": {"roles": ["viewer"]}}) as server:
        stranger = Caller(server, None)
        equal(stranger.code(LIST), "OK", "code")
        code, message, _ = stranger.outcome(ECHO, ROOM)
        equal(code, "PERMISSION_DENIED", "code")
        contains(message, "a caller without a credential has viewer")
        equal(Caller(server, "wrong").code(LIST), "UNAUTHENTICATED",
              "code of a wrong credential")


@check("A44.13 leasehold-server token: what it makes, and what it refuses")
def _():
    with Guarded(shop="acme: user") as server:
        path = os.path.join(server.folder, "tokens")
        with open(path, "a", encoding="utf-8") as file:
            file.write("# by hand, without an end")
        os.chmod(path, 0o640)
        made = server.new_token("shop")
        expect(len(made) == 55 and made.startswith("lh_"), f"no token: {made!r}")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        contains(text, "# by hand, without an end\n")
        expect(made[12:] not in text, "the secret is in the file")
        equal(os.stat(path).st_mode & 0o777, 0o640, "permissions")
        for arguments, code, why in (
                (["new", f"--policy={server.path}", "--identity=x"], 1, "--identity=x"),
                (["new", f"--policy={server.path}"], 2, "--identity"),
                (["new", "--identity=shop"], 2, "--policy"),
                (["new", f"--policy={server.path}", "--identity=shop",
                  "--expires-in=1y"], 2, "--expires-in"),
                (["revoke", f"--policy={server.path}", "nobody"], 1, "token list"),
                (["list", f"--policy={server.folder}/none"], 1, "cannot be read"),
                ([], 2, "subcommand"), (["make"], 2, "--help")):
            found = run(harness.programs / "leasehold-server", "token", *arguments)
            equal(found.code, code, f"exit code of {found}")
            contains(found.err, why)
            equal(found.out, "", f"standard output of {found}")
        for words in (["token"], ["token", "new"], ["url-keys", "rotate"]):
            found = run(harness.programs / "leasehold-server", *words, "--help")
            contains(found.out, f"Usage: leasehold-server {' '.join(words)} [OPTIONS]")


@check("A44.14 from nothing to tokens, as the guide says, and by certificate, and over HTTP")
def _():
    with temporary_folder() as folder:
        guide_commands(folder)
        with open(f"{folder}/policy.json", "w", encoding="utf-8") as file:
            file.write(documents.block("security.md", "json", '{\n  "tenants"'))
        make_file, make_token, serve, ask = guide_lines("touch tokens")
        in_shell(folder, [make_file, make_token])
        equal(os.stat(f"{folder}/shop.token").st_mode & 0o077, 0, "who else may read it")
        with Server(*with_paths(serve, folder)[1:], "--http-listen=127.0.0.1:0") as server:
            def said(lines):
                return in_shell(folder, [
                    line.replace("localhost:4001", server.address).replace(
                        "https://localhost:4002", server.http_address) for line in lines],
                    {"LEASEHOLD_ADDRESS": server.address})
            contains(said([ask]), "Apple")
            issue = [x for x in guide_lines("new=") if x.startswith(("new=", "issue="))]
            contains(said([*issue, *guide_lines("$issue -subj /CN=report")]), "INSTANCE",
                     '"name":"report"', '"name":"shop"')


@check("A44.15 the guide on security names each role and limit that a policy knows")
def _():
    section = documents.section("security.md", "## Policy")
    with Guarded(shop="acme: user") as server:
        for place, said in (("tenants", {"tenants": {"acme": {"?": 1}}}),
                            ("jwt", {"jwt": [{"?": 1}]}),
                            ("identities", {"identities": {"a": {"?": 1}}}),
                            ("roles", {"identities": {"a": {"roles": ["?"]}}})):
            with open(server.path, "w", encoding="utf-8") as file:
                json.dump(said, file)
            line = refused(f"--policy={server.path}", names=[place])
            for word in line.split(" are: ")[1].split(", "):
                contains(section, word)
