"""What a server does with more than it can do, and what others notice of it."""

import contextlib
import json
import pathlib
import subprocess
import tempfile
import time

from bench_process import PATIENCE_S, Server, program

IN_FLIGHT = 256  # More calls at a time make the server no faster.
SECONDS, WARM_S = 2, 2
POLITE_SECONDS = 5  # At 100 calls a second: the p99 is no single call.
PING = "request=0a0450696e67"  # {name: "Ping"}, of the built-in worker.
SINK = "request=0a0473696e6b12016e"  # {instance_id: "sink", name: "n"}
ORCHESTRATION, INSTANCES = "/leasehold.v1.Orchestration/", "/leasehold.v1.Instances/"
START = (f"method={ORCHESTRATION}Start", PING)
# With an input of 20 KB: a server does more for it than its caller, who shares the machine
# and has to call three times as often as the server can answer.
INPUT_BYTES = 20_000
LARGE_START = (START[0], f"{PING}1aa09c01" + (b'"' + b"x" * (INPUT_BYTES - 2) + b'"').hex())
ECHO = "method=/leasehold.v1.Echo/Echo"

# What a tenant does that wants everything; it has limits, as it should.
LIMITS = {**{f"{what}_per_second": 200 for what in ("starts", "events", "reads", "calls")},
          "waits": 100, "watches": 100, "streams": 100}
FLOODS = {
    "starts": START,
    "events": (f"method={ORCHESTRATION}RaiseEvent", SINK),
    "waits": (f"method={ORCHESTRATION}WaitForCompletion", "request=0a0473696e6b",
              "deadline_ms=200"),
    "watches": (f"method={INSTANCES}Watch", "stream=1"),
    "lists": (f"method={ORCHESTRATION}List",),
    "large payloads": (ECHO, "pad=1000000", "ids=10", "in_flight=16"),
    "unread answers": (f"method={INSTANCES}Watch", "unread=1"),
}


def leasehold(*flags):
    return Server(program("leasehold-server"), "--print-address", "--listen=127.0.0.1:0",
                  "--http-listen=off", "--idle-timeout=1h",
                  # Deadlines that pass reset streams, as a hostile client does.
                  "--max-resets=1000000", "--max-resets-per-second=1000000", *flags)


@contextlib.contextmanager
def durable(*flags):
    with tempfile.TemporaryDirectory(prefix="lh-") as folder:
        with leasehold(f"--data={folder}", *flags) as server:
            yield server


def begin(server, *settings, nicer=()):
    command = [*nicer, program("overload_load"), f"address={server.address}", *settings]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)


def result(process):
    out, _ = process.communicate(timeout=PATIENCE_S)
    if process.returncode != 0:
        raise SystemExit("bench: overload_load has failed")
    return json.loads(out)


def load(server, *settings, seconds=SECONDS):
    return result(begin(server, f"seconds={seconds}", f"warm={WARM_S}", *settings))


def load_and_cpu(server, *settings):
    """And how much of a core the server takes meanwhile."""
    process = begin(server, f"seconds={SECONDS}", f"warm={WARM_S}", *settings)
    time.sleep(WARM_S)
    cpu = server.cpu_s()
    time.sleep(SECONDS)
    cores = (server.cpu_s() - cpu) / SECONDS
    return result(process), cores


def useful(rounds):
    """Starts that are answered in time: at the peak, and with three times as many.

    A core's share tells how the server does where the callers' machine is another one: here
    they take what CPU they need from it, the more the more they call.
    """
    closed = ("connections=10", f"in_flight={3 * IN_FLIGHT}")
    for _ in range(min(rounds, 5)):
        for kind, start in (("starts", START), ("starts of 20 KB", LARGE_START)):
            with durable("--overload-delay=0") as server:
                found, cores = load_and_cpu(server, *start, f"in_flight={IN_FLIGHT}",
                                            "deadline_ms=5000")
            peak = found["useful_per_second"]
            peak_of_core = peak / cores
            yield f"{kind}: the peak", "useful/s", peak
            loads = {"3 x the callers, who wait as they are told": (*closed, "obey=1"),
                     "3 x the callers, who call again at once": closed}
            if start == LARGE_START:
                loads["3 x the rate, whatever comes back"] = (
                    "connections=10", "in_flight=30000", f"rate={3 * peak:.0f}")
            for name, settings in loads.items():
                for flag in ("50ms", "0"):
                    with durable(f"--overload-delay={flag}") as server:
                        found, cores = load_and_cpu(server, *start, *settings)
                    cell = f"{kind}: {name}, --overload-delay={flag}"
                    useful_per_second = found["useful_per_second"]
                    yield cell, "of the peak", useful_per_second / peak
                    yield cell, "of the peak, a core", useful_per_second / cores / peak_of_core
                    yield cell, "p99 ms", found["p99_us"] / 1000


@contextlib.contextmanager
def two_tenants():
    """A server, and the headers of one tenant who floods and one who does not."""
    with tempfile.TemporaryDirectory(prefix="lh-") as folder:
        policy = pathlib.Path(folder) / "policy.json"
        policy.write_text(json.dumps({
            "tenants": {"flood": LIMITS, "polite": {}},
            "identities": {name: {"tenant": name, "roles": ["user"]}
                           for name in ("flood", "polite")},
            "token_file": "tokens"}), encoding="utf-8")
        (pathlib.Path(folder) / "tokens").touch()
        tokens = [subprocess.run(
            [program("leasehold-server"), "token", "new", f"--policy={policy}",
             f"--identity={name}"], capture_output=True, text=True, check=True).stdout.strip()
            for name in ("flood", "polite")]
        with leasehold("--store=memory", f"--policy={policy}",
                           "--overload-delay=50ms") as server:
            flooding, behaving = (f"authorization=Bearer {token}" for token in tokens)
            # {name: "Nobody", instance_id: "sink"}: nobody takes its events.
            result(begin(server, flooding, START[0], "rate=1", "seconds=0.5",
                         "request=0a064e6f626f6479120473696e6b"))
            yield server, flooding, behaving


def polite(rounds):
    """A tenant that echoes a hundred times a second, alone and beside floods."""
    for _ in range(min(rounds, 5)):
        with two_tenants() as (server, flooding, behaving):
            def latency():
                return load(server, behaving, ECHO, "pad=64", "ids=10", "rate=100",
                            "in_flight=100", seconds=POLITE_SECONDS)["p99_us"] / 1000
            alone = latency()
            yield "polite: alone", "p99 ms", alone
            for name, settings in FLOODS.items():
                # Its own CPU is not what others should notice: on a network it is another
                # machine's.
                flood = begin(server, flooding, "connections=4", "in_flight=1000",
                              f"seconds={PATIENCE_S}", *settings,
                              nicer=("nice", "-n", "19"))
                beside = latency()
                flood.kill()
                flood.wait()
                yield f"polite: beside {name}", "p99 ms", beside
                yield f"polite: beside {name}", "of alone", beside / alone


def overload(rounds, _):
    yield from useful(rounds)
    yield from polite(rounds)
