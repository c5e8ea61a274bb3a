"""A23: `leasehold orchestration …`, a check or more a command.

Start, status and wait; what manages them is in orchestration_management_commands.py.
Work is done by raw workers of the Durable Task protocol (tests/interop/sidecar.py).
"""

import json
import re
import signal
import threading

import harness
import instance_commands
from harness import Program, contains, equal, expect, leasehold, wait_until
from instance_commands import Streaming, failed
from orchestrations import on_both_stores
from sidecar import complete, continue_as_new, create_timer, fail, now, schedule_task

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def command(server, *args, output="json", **kwargs):
    return leasehold(f"--address={server.address}", f"--output={output}",
                     "orchestration", *args, **kwargs)


def rows(server, *args, code=0, **kwargs):
    """The objects of `leasehold orchestration …`, which succeeds."""
    result = command(server, *args, **kwargs)
    equal(result.code, code, f"exit code of {result}")
    if not code:
        equal(result.err, "", f"standard error of {result}")
    return [json.loads(line) for line in result.out.splitlines()]


def row(server, *args, **kwargs):
    (only,) = rows(server, *args, **kwargs)
    return only


def text(server, *args):
    """What it writes for people."""
    result = command(server, *args, output="table")
    equal(result.code, 0, f"exit code of {result}")
    equal(result.err, "", f"standard error of {result}")
    return result.out


def run_to_end(sidecar, server, id, *actions, name="Greet", args=()):
    """Starts one by command, and ends it in one turn by a worker of its own."""
    with sidecar.worker(filters={"orchestrations": [{"name": name}]}) as worker:
        rows(server, "start", name, f"--id={id}", *args)
        worker.turn().complete(*(actions or (complete(1, '"done"'),)))
    return sidecar.wait_for_completion(id)


class Terminal(instance_commands.Terminal):
    """`leasehold orchestration …` with all of its output on a terminal."""

    def __init__(self, server, *args):
        super().__init__(server, "orchestration", *args)
        self.program = Program("/bin/bash", "-c", 'exec "$@" 2>&1', "bash",
                               *self.program.args, stdin=self.slave, stdout=self.slave)

    def text(self):
        """What it has written so far."""
        self.screens()
        return self.shown


# ---- Start and ensure -------------------------------------------------------

@on_both_stores("A23.1 `start` starts with all that it is given, and shows the receipt")
def _(server, sidecar):
    receipt = row(server, "start", "Greet", "--id=a-1", '--input={"who": "Ada"}',
                  "--version=1.2", "--tag=team=blue", "--tag=x=y=z")
    equal((receipt["instance_id"], receipt["created"]), ("a-1", True), f"{receipt}")
    state = sidecar.get("a-1")
    equal((state["name"], state["input"], state["version"], state["tags"],
           state["executionId"]),
          ("Greet", '{"who": "Ada"}', "1.2", {"team": "blue", "x": "y=z"},
           receipt["execution_id"]), "what is there")
    heading, line = text(server, "start", "Greet", "--id=a-2").splitlines()
    contains(heading, "INSTANCE", "CREATED", "EXECUTION")
    expect(re.fullmatch(r"a-2 +yes +[0-9a-f]{32}", line), f"{line!r}")


@on_both_stores("A23.2 `start` without an ID shows the one that the server made")
def _(server, sidecar):
    id = row(server, "start", "Greet")["instance_id"]
    expect(harness.UUID.fullmatch(id), f"no UUID: {id}")
    equal(sidecar.status(id), "PENDING", "status")


@on_both_stores("A23.3 an input comes from the command line, a file or standard input, and "
                "reaches the worker as it is")
def _(server, sidecar):
    odd = '{"ä😀": ["\\u0000", 1.50, null]}'
    with harness.temporary_folder() as folder:
        path = f"{folder}/input.json"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"\n {odd}\n")
        with sidecar.worker() as worker:
            for how, stdin in ((odd, None), (f"@{path}", None), ("-", odd + "\n")):
                rows(server, "start", "Greet", f"--input={how}", stdin=stdin)
                turn = worker.turn()
                equal(turn.event("executionStarted")["input"], odd, f"input by {how}")
                turn.complete(complete(1))
            rows(server, "start", "Greet")
            expect("input" not in worker.turn().event("executionStarted"), "an input")


@on_both_stores("A23.4 an input that is not valid JSON, is nested too deep or never ends is "
                "refused before it is sent: exit code 2, what is wrong and where")
def _(server, sidecar):
    def refused(how, *names, stdin=None):
        result = command(server, "start", "Greet", "--id=a-1", f"--input={how}",
                         stdin=stdin)
        equal((result.code, result.out), (2, ""), f"{result}")
        equal(len(result.err.splitlines()), 1, f"lines of {result}")
        contains(result.err, "leasehold: --input", *names)
    refused("Ada", "line 1, column 1", "quotes of its own")
    refused('{"a": 1,}', "line 1, column 9")
    refused("-", "standard input", "line 2, column 3", stdin='{\n  a: 1\n}')
    refused("-", "standard input", "line 1", stdin="")
    refused("@/nowhere.json", "cannot read /nowhere.json")
    refused("@/", "cannot read /", "directory")
    refused("@/dev/zero", "larger than 48 MiB")
    refused("-", "standard input", "nested deeper than 128", stdin="[" * 100_000)
    equal(sidecar.get("a-1"), None, "what is there")


@on_both_stores("A23.5 `start` of an ID that is taken: exit code 1, ALREADY_EXISTS with the "
                "choices; --if-active and --if-finished choose")
def _(server, sidecar):
    first = row(server, "start", "Greet", "--id=a-1")
    failed(command(server, "start", "Greet", "--id=a-1"), "ALREADY_EXISTS", "a-1",
           "--if-active=attach", "--if-active=terminate")
    again = row(server, "start", "Greet", "--id=a-1", "--if-active=attach")
    equal((again["created"], again["execution_id"]), (False, first["execution_id"]),
          "attached")
    anew = row(server, "start", "Greet", "--id=a-1", "--if-active=terminate")
    expect(anew["created"] and anew["execution_id"] != first["execution_id"],
           f"{anew} after {first}")
    run_to_end(sidecar, server, "a-2", name="Quick")
    failed(command(server, "start", "Greet", "--id=a-2"), "ALREADY_EXISTS", "a-2",
           "--if-finished=attach", "--if-finished=replace")
    expect(not row(server, "start", "Greet", "--id=a-2",
                   "--if-finished=attach")["created"], "created")
    expect(row(server, "start", "Greet", "--id=a-2",
               "--if-finished=replace")["created"], "not created")


@on_both_stores("A23.6 repeating `start --request-id` shows the first receipt")
def _(server, sidecar):
    args = ("start", "Greet", "--request-id=r-1", "--input=1")
    first = row(server, *args)
    equal(row(server, *args), first, "receipt")
    failed(command(server, "start", "Greet", "--request-id=r-1", "--input=2"),
           "INVALID_ARGUMENT", "r-1")
    equal(len(sidecar.query()), 1, "orchestrations")


@on_both_stores("A23.7 `start --at` starts later: at a time, or after a delay")
def _(server, sidecar):
    rows(server, "start", "Greet", "--id=a-1", "--at=2999-01-02T03:04:05Z")
    equal(row(server, "status", "a-1")["scheduled_start_time"],
          "2999-01-02T03:04:05.000000000Z", "time")
    begin = now(0.5)
    with sidecar.worker() as worker:
        rows(server, "start", "Greet", "--id=a-2", "--at=+500ms")
        turn = worker.turn()
        equal(turn.id, "a-2", "who has a turn")
        expect(now() >= begin, "its turn came too early")
        turn.complete(complete(1))


@on_both_stores("A23.8 `start --wait` shows the receipt at once, and then the end")
def _(server, sidecar):
    with sidecar.worker() as worker, \
            Streaming(server, "orchestration", "start", "Greet", "--id=a-1",
                      "--wait") as start:
        start.await_row("the receipt", instance_id="a-1", created=True)
        worker.turn().complete(complete(1, '"Hello"'))
        equal(start.wait(), 0, f"exit code: {start.err}")
        equal((start.rows[-1]["status"], start.rows[-1]["output"]),
              ("COMPLETED", "Hello"), "the end")
        equal(len(start.rows), 2, "rows")


@on_both_stores("A23.9 `ensure` creates a singleton and says so; again it shows the one that "
                "is there, running or ended")
def _(server, sidecar):
    ensure = ("ensure", "Nightly", "--id=nightly")
    equal(text(server, *ensure), "Creating singleton instance with ID = nightly\n",
          "the first")
    contains(text(server, *ensure), "Instance       nightly\n",
             "Status         PENDING\n")
    with sidecar.worker() as worker:
        worker.turn().complete(complete(1, '"7"'))
        sidecar.wait_for_completion("nightly")
    contains(text(server, *ensure), "Status         COMPLETED\n",
             'Output         "7"\n')
    again = row(server, *ensure)
    equal((again["created"], again["status"]), (False, "COMPLETED"), f"{again}")
    equal(text(server, *ensure, "--if-finished=replace"),
          "Creating singleton instance with ID = nightly\n", "the replaced one")


@on_both_stores("A23.10 of fifty racing `ensure`s one creates")
def _(server, sidecar):
    said = []

    def race():
        said.append(text(server, "ensure", "Nightly", "--id=nightly"))
    racers = [threading.Thread(target=race) for _ in range(50)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    equal(len(said), 50, "answers")
    equal(sum(s.startswith("Creating singleton") for s in said), 1, f"created: {said}")
    equal(len(sidecar.query()), 1, "orchestrations")


# ---- What is known ----------------------------------------------------------

@on_both_stores("A23.11 `status` shows all that is known: for people, and as JSON")
def _(server, sidecar):
    with sidecar.worker() as worker:
        rows(server, "start", "Greet", "--id=a-1", "--input=[1]", "--tag=a=b",
             "--version=2")
        worker.turn().complete(create_timer(1, now(3600)), custom_status='"half"')
        state = row(server, "status", "a-1")
        for name in ("create_time", "update_time"):
            expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", state.pop(name)),
                   name)
        expect(re.fullmatch("[0-9a-f]{32}", state.pop("execution_id")), "execution")
        contains(state.pop("why"), "is Running: it waits for a timer that fires at ")
        equal(state, {"instance_id": "a-1", "name": "Greet", "version": "2",
                      "status": "RUNNING", "custom_status": "half",
                      "tags": {"a": "b"}, "input": [1]}, "state")
        shown = text(server, "status", "a-1")
        contains(shown, "Instance       a-1\n", "Version        2\n",
                 'Custom status  "half"\n', "Tags           a=b\n",
                 "Input          [1]\n",
                 'Why            orchestration "a-1" (Greet) is Running: it waits ')
        expect(re.search(rf"^Created        {TIME}$", shown, re.M), f"{shown}")


@on_both_stores("A23.12 `status` shows why one failed, and what an ended one left")
def _(server, sidecar):
    run_to_end(sidecar, server, "a-1", fail(1, "Oops", "no such\nfruit"))
    state = row(server, "status", "a-1")
    equal((state["status"], state["failure"]["type"], state["failure"]["message"]),
          ("FAILED", "Oops", "no such\nfruit"), f"{state}")
    expect("end_time" in state, f"no end: {state}")
    contains(text(server, "status", "a-1"), "Failure        Oops: no such\\nfruit\n",
             "Ended          ")


@on_both_stores("A23.13 an unknown ID: exit code 3, NOT_FOUND that names it; nothing is made")
def _(server, sidecar):
    for args in (("status", "a-1"), ("wait", "a-1"), ("watch", "a-1"),
                 ("raise-event", "a-1", "go"), ("suspend", "a-1"), ("resume", "a-1"),
                 ("terminate", "a-1"), ("restart", "a-1"), ("purge", "a-1"),
                 ("history", "a-1")):
        failed(command(server, *args), "NOT_FOUND", '"a-1"')
    equal(sidecar.query(), [], "orchestrations")
    result = leasehold(f"--address={server.address}", "--output=json", "instances",
                       "list")
    equal((result.code, result.out), (0, ""), "instances")


# ---- Waiting ----------------------------------------------------------------

@on_both_stores("A23.14 `wait` shows the end of one: exit code 0 if it COMPLETED, 1 and why if "
                "it FAILED or was TERMINATED")
def _(server, sidecar):
    with sidecar.worker() as worker:
        for id, ending, code, said in (
                ("a-1", complete(1, '"x"'), 0, ""),
                ("a-2", fail(1, "Oops", "no"), 1,
                 'UNKNOWN: orchestration "a-2" FAILED: Oops: no\n'),
                ("a-3", complete(1, status="TERMINATED"), 1,
                 'ABORTED: orchestration "a-3" was TERMINATED\n')):
            rows(server, "start", "Greet", f"--id={id}")
            turn = worker.turn()
            with Streaming(server, "orchestration", "wait", id) as wait:
                turn.complete(ending)
                equal(wait.wait(), code, f"exit code for {id}: {wait.err}")
                (state,) = wait.rows
                equal(state["instance_id"], id, "instance")
                equal("".join(line + "\n" for line in wait.err), said, "error")
            equal(command(server, "wait", id).code, code, f"exit code for {id}, ended")


@on_both_stores("A23.15 `wait --started` is over once a worker has begun it")
def _(server, sidecar):
    rows(server, "start", "Greet", "--id=a-1")
    with Streaming(server, "orchestration", "wait", "a-1", "--started") as wait:
        with sidecar.worker() as worker:
            worker.turn().complete(create_timer(1, now(3600)))
        equal(wait.wait(), 0, f"exit code: {wait.err}")
        equal(wait.rows[0]["status"], "RUNNING", "status")


@on_both_stores("A23.16 `wait` has the limit that --timeout gives; interrupted it is not done: "
                "exit code 1 either way")
def _(server, sidecar):
    rows(server, "start", "Greet", "--id=a-1")
    failed(command(server, "wait", "a-1", "--timeout=2s"), "DEADLINE_EXCEEDED", "a-1",
           "2s")
    for number in (signal.SIGINT, signal.SIGTERM):
        with Terminal(server, "wait", "a-1") as terminal:
            wait_until(lambda: "PENDING" in terminal.text(), "the line")
            equal(terminal.program.end(number), 1, f"exit code after {number.name}")
            contains(terminal.text(), 'CANCELLED: orchestration "a-1"')


@on_both_stores("A23.17 on a terminal `wait` shows its progress on one line that is redrawn, "
                "and erases it at the end")
def _(server, sidecar):
    rows(server, "start", "Greet", "--id=a-1")
    with Terminal(server, "wait", "a-1") as terminal, sidecar.worker() as worker:
        def lines():
            return re.findall(r"\r\x1b\[\?7l(.*?)\x1b\[K", terminal.text())
        turn = worker.turn()
        wait_until(lambda: any("PENDING" in line for line in lines()), "the first line")
        turn.complete(create_timer(1, now(3600)),
                               custom_status='"step 1 of 2"')
        wait_until(lambda: any(re.search(r'^a-1  RUNNING  "step 1 of 2"  \d+m?s?$',
                                         line) for line in lines()), "the status")
        # Though nothing happens, time passes.
        wait_until(lambda: len({line for line in lines() if "step 1" in line}) > 1,
                   "the line to be redrawn")
        sidecar.terminate("a-1")
        worker.turn().complete(complete(2, status="TERMINATED"))
        equal(terminal.program.wait(), 1, "exit code")
        contains(terminal.text(), "\r\x1b[KInstance       a-1")


@on_both_stores("A23.18 without a terminal `wait` says nothing until the end")
def _(server, sidecar):
    rows(server, "start", "Greet", "--id=a-1")
    with Streaming(server, "orchestration", "wait", "a-1", output="table") as wait:
        with sidecar.worker() as worker:
            turn = worker.turn()
            turn.complete(schedule_task(1, "act"), custom_status='"half"')
            worker.activity().complete()
            worker.turn().complete(complete(2))
        equal(wait.wait(), 0, f"exit code: {wait.err}")
        equal((wait.err, wait.out[0]), ([], "Instance       a-1"), "what it says")


@on_both_stores("A23.19 `watch` is a line for each change until the end: exit code 0")
def _(server, sidecar):
    with sidecar.worker() as worker:
        rows(server, "start", "Greet", "--id=a-1")
        with Streaming(server, "orchestration", "watch", "a-1") as watch, \
                Streaming(server, "orchestration", "watch", "a-1",
                          output="table") as table:
            watch.await_row("what is there", status="PENDING")
            table.await_line("out", "PENDING")
            worker.turn().complete(create_timer(1, now(3600)), custom_status='"half"')
            watch.await_row("the custom status", status="RUNNING",
                            custom_status="half")
            table.await_line("out", '"half"')
            sidecar.suspend("a-1")
            worker.turn().complete(custom_status='"half"')
            watch.await_row("the suspension", status="SUSPENDED")
            sidecar.resume("a-1")
            sidecar.raise_event("a-1", "go")
            worker.turn().complete(complete(2, '"x"'))
            for each in (watch, table):
                equal(each.wait(), 0, f"exit code: {each.err}")
            equal((watch.rows[-1]["status"], watch.rows[-1]["output"]),
                  ("COMPLETED", "x"), "the end")
            expect(re.match(rf'{TIME}  COMPLETED   .*"x"$', table.out[-1]),
                   f"{table.out}")


@on_both_stores("A23.20 `watch` goes on over continue-as-new, and ends with 0 on Ctrl-C")
def _(server, sidecar):
    with sidecar.worker() as worker:
        rows(server, "start", "Eternal", "--id=a-1")
        with Streaming(server, "orchestration", "watch", "a-1") as watch:
            watch.await_row("what is there", status="PENDING")
            worker.turn().complete(continue_as_new(1, "2"), custom_status="1")
            worker.turn().complete(create_timer(1, now(3600)), custom_status="2")
            watch.await_row("the second run", custom_status=2)
            watch.ends_well(signal.SIGINT)
