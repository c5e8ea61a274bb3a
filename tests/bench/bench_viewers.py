"""What a server's calls notice of those who look at it over HTTP."""

import contextlib
import http.client
import os
import pathlib
import re
import threading
import time

import bench_overload
from bench_process import PATIENCE_S, Server, program

ECHO = ("method=/leasehold.v1.Echo/Echo", "pad=64", "ids=1000", "rate=2000", "in_flight=200")
DASHBOARDS, POLLS_PER_SECOND = 10, 200
EVENTS = "/api/v1/events?topics=stats&topics=contexts:&topics=orchestration:sink"
STATUS = "/runtime/webhooks/durabletask/instances/sink"


def http_address(server):
    """Where it serves HTTP, as its log says."""
    for _ in range(100):
        # At a place of its own: the server writes at the file's.
        said = os.pread(server.said.fileno(), 1 << 16, 0).decode()
        found = re.search(r"http_listening.*?http://(\S+?)[\s\"]", said)
        if found:
            return found[1]
        time.sleep(0.05)
    raise SystemExit("bench: the server does not listen for HTTP")


@contextlib.contextmanager
def viewers(address):
    """Dashboards that follow everything, and somebody who asks for a status all the time."""
    over, counts = threading.Event(), {"events": 0, "polls": 0}

    def follow():
        connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        connection.request("GET", EVENTS)
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"bench: {EVENTS} answers {answer.status}")
        while not over.is_set() and answer.readline():
            counts["events"] += 1
        connection.close()

    def poll():
        connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        begun, done = time.monotonic(), 0
        while not over.is_set():
            if done > (time.monotonic() - begun) * POLLS_PER_SECOND:
                time.sleep(0.002)
                continue
            connection.request("GET", STATUS)
            connection.getresponse().read()
            done += 1
        counts["polls"] = done / (time.monotonic() - begun)
        connection.close()

    threads = [threading.Thread(target=follow) for _ in range(DASHBOARDS)]
    threads.append(threading.Thread(target=poll))
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        over.set()
        for thread in threads:
            thread.join()


def cpu_of_threads(server):
    """Seconds of CPU that each of its threads has had."""
    found = {}
    for task in pathlib.Path(f"/proc/{server.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def measure(server):
    """What each thread takes for an echo, in microseconds of CPU, and the echoes' p99."""
    before = cpu_of_threads(server)
    found = bench_overload.load(server, *ECHO)
    calls = found["useful"] * (bench_overload.SECONDS + bench_overload.WARM_S) / (
        bench_overload.SECONDS)
    threads = {thread: (cpu - before.get(thread, 0)) / calls * 1e6
               for thread, cpu in cpu_of_threads(server).items()}
    return threads, found["p99_us"] / 1000


def viewing(rounds, _):
    """Pairs: alone, and beside viewers."""
    with Server(program("leasehold-server"), "--print-address", "--listen=127.0.0.1:0",
                "--store=memory", "--idle-timeout=1h", "--http-listen=127.0.0.1:0") as server:
        bench_overload.result(bench_overload.begin(
            server, bench_overload.START[0], "rate=1", "seconds=0.5",
            "request=0a064e6f626f6479120473696e6b"))  # {"Nobody", "sink"}
        address = http_address(server)
        measure(server)
        for _ in range(min(rounds, 9)):
            alone, p99 = measure(server)
            with viewers(address) as counts:
                beside, beside_p99 = measure(server)
            name = f"beside {DASHBOARDS} dashboards and {POLLS_PER_SECOND} polls a second"
            # Those that serve calls; the others are the viewers'.
            serving = [thread for thread, cpu in alone.items()
                       if cpu > 0.05 * sum(alone.values())]
            cpu, beside_cpu = (sum(found[thread] for thread in serving)
                               for found in (alone, beside))
            yield "echo alone", "CPU us", cpu
            yield "echo alone", "p99 ms", p99
            yield f"echo {name}", "CPU us", beside_cpu
            yield f"echo {name}", "of alone: CPU", beside_cpu / cpu
            yield f"echo {name}", "of alone: p99", beside_p99 / p99
            yield f"viewers {name}", "CPU us an echo", sum(beside.values()) - beside_cpu
            yield f"viewers {name}", "polls/s", counts["polls"]
            yield f"viewers {name}", "lines of events", counts["events"]
