"""A23, from A23.21: `leasehold orchestration …` that manages what runs, and all commands.

Events, suspend, terminate, restart, rewind, purge, list, history; payloads, usage and help.
"""

import json
import os
import re
import signal
import tempfile

import harness
from entities import call_entity, entity_message, lock, names, unlock
from harness import Server, check, contains, equal, expect, leasehold, wait_until
from instance_commands import Streaming, failed, wrong_usage
from orchestration_commands import TIME, command, row, rows, run_to_end, text
from orchestrations import on_both_stores
from sidecar import (complete, create_child, create_timer, fail, failure, now,
                     schedule_task)


def status(server, id):
    return row(server, "status", id)["status"]


# ---- Commands ---------------------------------------------------------------

@on_both_stores("A23.21 `raise-event` sends an event, with an input or without")
def _(server, sidecar):
    with sidecar.worker() as worker:
        rows(server, "start", "Greet", "--id=a-1")
        worker.turn().complete()
        equal(text(server, "raise-event", "a-1", "go", "--input=[1, 2]"),
              "Raised go for a-1.\n", "what it says")
        turn = worker.turn()
        equal(turn.event("eventRaised go"), {"name": "go", "input": "[1, 2]"}, "event")
        turn.complete()
        equal(row(server, "raise-event", "a-1", "stop"),
              {"instance_id": "a-1", "done": "raise-event"}, "what it says")
        turn = worker.turn()
        equal(turn.event("eventRaised stop"), {"name": "stop"}, "event")
        turn.complete(complete(1))


@on_both_stores("A23.22 `suspend` holds it, `resume` lets it go on, each with its reason")
def _(server, sidecar):
    with sidecar.worker() as worker:
        rows(server, "start", "Greet", "--id=a-1")
        worker.turn().complete(create_timer(1, now(3600)))
        equal(text(server, "suspend", "a-1", "--reason=lunch"), "Suspended a-1.\n",
              "what it says")
        worker.turn().complete()
        wait_until(lambda: status(server, "a-1") == "SUSPENDED", "the suspension")
        equal(text(server, "resume", "a-1", "--reason=back"), "Resumed a-1.\n",
              "what it says")
        worker.turn().complete()
        wait_until(lambda: status(server, "a-1") == "RUNNING", "the resumption")
    reasons = {e["event"]: e.get("reason") for e in rows(server, "history", "a-1")}
    equal((reasons["execution_suspended"], reasons["execution_resumed"]),
          ("lunch", "back"), "reasons")


@on_both_stores("A23.23 `terminate` ends one and leaves a result; --recursive its children too")
def _(server, sidecar):
    with sidecar.worker() as worker:
        rows(server, "start", "Parent", "--id=p")
        worker.turn().complete(create_child(1, "Child", child="c"))
        worker.turn().complete(create_timer(1, now(3600)))
        contains(text(server, "terminate", "p", "--result=\"over\"", "--recursive"),
                 "Terminated p")
        for _ in range(2):  # The child's comes with the parent's end.
            turn = worker.turn()
            turn.complete(complete(2, '"over"' if turn.id == "p" else None,
                                   status="TERMINATED"))
        wait_until(lambda: status(server, "c") == "TERMINATED", "the child's end")
        state = wait_until(lambda: (s := row(server, "status", "p"))["status"]
                           == "TERMINATED" and s, "the parent's end")
        equal(state["output"], "over", "output")


@on_both_stores("A23.24 commands to one that has ended: exit code 1, FAILED_PRECONDITION; purge "
                "and restart of one that has not, as well")
def _(server, sidecar):
    run_to_end(sidecar, server, "ended")
    for args in (("raise-event", "ended", "go"), ("suspend", "ended"),
                 ("resume", "ended"), ("terminate", "ended")):
        failed(command(server, *args), "FAILED_PRECONDITION", '"ended"')
    rows(server, "start", "Nobody", "--id=active")
    for args in (("purge", "active"), ("restart", "active")):
        failed(command(server, *args), "FAILED_PRECONDITION", '"active"')


@on_both_stores("A23.25 `restart` starts it again with what it was started with; --new-id "
                "another one")
def _(server, sidecar):
    args = ("--input=[1]", "--version=2", "--tag=a=b")
    run_to_end(sidecar, server, "a-1", args=args)
    receipt = row(server, "restart", "a-1")
    equal((receipt["instance_id"], receipt["created"]), ("a-1", True), "receipt")
    other = row(server, "restart", "a-1", "--new-id")["instance_id"]
    expect(other != "a-1", "the ID is the same")
    for id in ("a-1", other):
        state = row(server, "status", id)
        equal((state["name"], state["input"], state["version"], state["tags"]),
              ("Greet", [1], "2", {"a": "b"}), f"what {id} was started with")


# ---- Many -------------------------------------------------------------------

@on_both_stores("A23.26 `purge` erases one; or those that match; or, if it is said, all that "
                "have ended")
def _(server, sidecar):
    for id in ("a-1", "a-2", "b-1", "b-2"):
        run_to_end(sidecar, server, id)
    run_to_end(sidecar, server, "a-3", fail(1, "Oops", "no"))
    rows(server, "start", "Nobody", "--id=active")
    equal(text(server, "purge", "a-1"), "Purged 1 orchestration.\n", "of one")
    wrong_usage("orchestration", "purge", names=("ID", "--status", "--all"))
    wrong_usage("orchestration", "purge", "a-2", "--all", names=("ID", "--all"))
    equal(row(server, "purge", "--status=failed", "--id-prefix=a-"), {"purged": 1},
          "of a filter")
    equal(row(server, "purge", "--created-to=-1h"), {"purged": 0}, "of an hour ago")
    equal(row(server, "purge", "--all"), {"purged": 3}, "of all")
    equal([r["instance_id"] for r in rows(server, "list")], ["active"], "what is left")


@on_both_stores("A23.27 `list` shows all in the order of their starts, over pages; filters and "
                "--limit choose")
def _(server, sidecar):
    ids = [f"a-{i}" for i in range(250)]
    for id in ids:
        sidecar.start("Nobody", id=id)
    run_to_end(sidecar, server, "b-1")
    equal([r["instance_id"] for r in rows(server, "list")], [*ids, "b-1"], "all")
    equal([r["instance_id"] for r in rows(server, "list", "--limit=120")], ids[:120],
          "the first ones")
    equal([r["instance_id"] for r in rows(server, "list", "--order=newest", "--limit=120")],
          ["b-1", *ids[:-120:-1]], "the newest ones")
    equal([r["instance_id"] for r in rows(server, "list", "--name=Greet")], ["b-1"], "of a name")
    equal([r["instance_id"] for r in rows(server, "list", "--status=completed,failed")],
          ["b-1"], "of a status")
    equal(rows(server, "list", "--id-prefix=c"), [], "of a prefix")
    equal(len(rows(server, "list", "--created-from=-1h", "--created-to=+1h")), 251,
          "of a time")
    expect("output" not in row(server, "list", "--id-prefix=b"), "a payload")
    equal(row(server, "list", "--id-prefix=b", "--payloads")["output"], "done",
          "output")
    heading, line = text(server, "list", "--id-prefix=b").splitlines()
    contains(heading, "INSTANCE", "NAME", "STATUS", "CREATED", "CUSTOM STATUS")
    contains(line, "b-1", "Greet", "COMPLETED")


def as_exported(events):
    """Events of `history` with --raw, as a file has them."""
    return [{"id": -1, **{k: v for k, v in event.items() if k != "turn"}}
            for event in events]


@on_both_stores("A23.28 `history` is a timeline: what was begun, what came of it, payloads")
def _(server, sidecar):
    with sidecar.worker() as worker:
        rows(server, "start", "Greet", "--id=a-1", '--input="Ada"')
        worker.turn().complete(schedule_task(1, "SayHello", '"Ada"'))
        worker.activity().complete('"Hello, Ada"')
        worker.turn().complete(create_timer(2, now(0.2)))
        worker.turn().complete(complete(3, '"done"'))
        sidecar.wait_for_completion("a-1")
    events = rows(server, "history", "a-1")
    by_name = {e["event"]: e for e in events}
    for name, wanted in (
            ("execution_started", {"name": "Greet", "input": "Ada", "turn": 1}),
            ("activity_scheduled", {"id": 1, "name": "SayHello", "input": "Ada"}),
            ("activity_completed", {"scheduled_id": 1, "output": "Hello, Ada"}),
            ("timer_created", {"id": 2}), ("timer_fired", {"scheduled_id": 2}),
            ("execution_completed", {"status": "COMPLETED", "output": "done"})):
        expect(name in by_name, f"no {name}: {events}")
        equal({k: by_name[name].get(k) for k in wanted}, wanted, name)
    lines = text(server, "history", "a-1").splitlines()
    contains(lines[0], "TIME", "ELAPSED", "ID", "EVENT", "DETAIL")
    equal(len(lines), len(events) + 1, "lines")
    for wanted in (r"\+0 .* Greet, input \"Ada\"",
                   r" 1 +activity_scheduled +SayHello, input \"Ada\"",
                   r" 1 +activity_completed +SayHello, output \"Hello, Ada\"",
                   rf" 2 +timer_created +until {TIME}", r" 2 +timer_fired ",
                   r" execution_completed +COMPLETED, output \"done\""):
        expect(any(re.search(wanted, line) for line in lines),
               f"wanted {wanted} in {lines}")


@on_both_stores("A23.29 `history --execution` shows a run that was replaced; an unknown run is "
                "NOT_FOUND")
def _(server, sidecar):
    run_to_end(sidecar, server, "a-1", complete(1, '"first"'))
    first = row(server, "status", "a-1")["execution_id"]
    rows(server, "start", "Nobody", "--id=a-1", "--if-finished=replace")
    events = rows(server, "history", "a-1", f"--execution={first}")
    equal(events[-1]["output"], "first", "the last event of the first run")
    failed(command(server, "history", "a-1", "--execution=x"), "NOT_FOUND", "x")


# ---- Of every command -------------------------------------------------------

@on_both_stores("A23.30 IDs, names and payloads may be any text, and cannot break the output")
def _(server, sidecar):
    for id in ("zürich", "東京 1", "a,b", "-x", "status"):
        rows(server, "start", f"--id={id}", '--input="\\u001b[2J\\n"', "--", "--größe")
        equal(row(server, "status", "--", id)["name"], "--größe", "name")
        rows(server, "raise-event", "--", id, "ein Ereignis 🍎")
        for args in (("status", "--", id), ("list",), ("history", "--", id)):
            for output in ("table", "json"):
                result = command(server, *args, output=output)
                equal(result.code, 0, f"exit code of {result}")
                expect("\x1b" not in result.out, f"{result}")
    equal(len(rows(server, "list")), 5, "orchestrations")


@on_both_stores("A23.31 payloads larger than the server takes: exit code 1, RESOURCE_EXHAUSTED "
                "with the bound; large ones below it come through", "--max-payload=6000000")
def _(server, sidecar):
    with harness.temporary_folder() as folder:
        for size, path in ((5 << 20, f"{folder}/fits"), (6 << 20, f"{folder}/big")):
            with open(path, "w", encoding="utf-8") as file:
                file.write('"' + "x" * size + '"')
        failed(command(server, "start", "Greet", f"--input=@{folder}/big"),
               "RESOURCE_EXHAUSTED", "6000000", "--max-payload")
        rows(server, "start", "Greet", "--id=a-1", f"--input=@{folder}/fits")
        equal(len(row(server, "status", "a-1")["input"]), 5 << 20, "input")
        # A page is below what clients receive.
        contains(rows(server, "list", "--payloads")[0]["input"],
                 f"{(5 << 20) + 2} bytes", "ask for this orchestration alone")


@check("A23.32 wrong usage: exit code 2 and one line that says what is right")
def _():
    group = "orchestration"
    wrong_usage(group, names=("start", "ensure", "status", "wait", "watch",
                              "raise-event", "suspend", "resume", "terminate",
                              "restart", "purge", "list", "history"))
    wrong_usage(group, "strt", names=('"strt"', "start"))
    for name in ("status", "wait", "watch", "raise-event", "suspend", "resume",
                 "terminate", "restart", "history"):
        wrong_usage(group, name, names=(name, "ID"))
        wrong_usage(group, name, "", names=("ID",))
    wrong_usage(group, "start", names=("start", "NAME"))
    wrong_usage(group, "ensure", "Greet", names=("ensure", "--id"))
    wrong_usage(group, "raise-event", "a-1", names=("raise-event", "NAME"))
    wrong_usage(group, "start", "a", "--if-active=replace",
                names=("fail, attach or terminate",))
    wrong_usage(group, "start", "a", "--if-finished=terminate",
                names=("fail, attach or replace",))
    for bad in ("soon", "30s", "2024-10-04"):
        wrong_usage(group, "start", "a", f"--at={bad}",
                    names=("--at", f'"{bad}"', "+30s"))
    wrong_usage(group, "start", "a", "--tag=blue", names=("KEY=VALUE",))
    wrong_usage(group, "list", "--status=done", names=("done", "pending, running"))
    wrong_usage(group, "list", "--limit=0", names=("--limit",))
    wrong_usage(group, "terminate", "a-1", "--result=over", names=("--result", "JSON"))


@check("A23.33 --help shows each command and its options")
def _():
    contains(leasehold("--help").out, "orchestration")
    for name, words in (
            ("start", ("NAME", "--id", "--input", "--version", "--at", "--tag",
                       "--if-active", "--if-finished", "--request-id", "--wait")),
            ("ensure", ("NAME", "--id", "--if-active", "--if-finished")),
            ("status", ("ID",)), ("wait", ("ID", "--started")), ("watch", ("ID",)),
            ("raise-event", ("ID", "NAME", "--input")), ("suspend", ("--reason",)),
            ("resume", ("--reason",)), ("rewind", ("--reason",)),
            ("terminate", ("--result", "--recursive", "--force")),
            ("restart", ("--new-id",)),
            ("purge", ("--status", "--id-prefix", "--created-from", "--created-to",
                       "--all", "--recursive")),
            ("list", ("--status", "--id-prefix", "--created-from", "--created-to",
                      "--name", "--tag", "--order", "--limit", "--payloads")), ("history", ("--execution",))):
        result = leasehold("orchestration", name, "--help")
        equal(result.code, 0, f"exit code of {result}")
        contains(result.out, f"Usage: leasehold orchestration {name}", *words)
        contains(leasehold("orchestration", "--help").out, f"\n  {name} ")


@check("A23.34 `wait` and `watch` reconnect to a server that ends or is killed, and say so; if "
       "it comes back without the orchestration, they say NOT_FOUND")
def _():
    for number in (signal.SIGTERM, signal.SIGKILL):
        with Server() as server:
            address = server.address
            rows(server, "start", "Nobody", "--id=a-1")
            with Streaming(server, "orchestration", "wait", "a-1") as wait, \
                    Streaming(server, "orchestration", "watch", "a-1") as watch:
                watch.await_row("what is there", status="PENDING")
                wait.await_sleep()
                server.end(number)
                for each in (wait, watch):
                    contains(each.await_line("err", "connection lost, reconnecting: "),
                             "UNAVAILABLE: ", address)
                with Server(listen=(address,)):
                    for each in (wait, watch):
                        equal(each.wait(), 3, f"exit code: {each.err}")
                        contains(each.err[-1], "NOT_FOUND: ", "a-1")


@on_both_stores("A23.35 the ID's instance context is the one that `instances` shows")
def _(server, sidecar):
    rows(server, "start", "Nobody", "--id=a-1")
    result = leasehold(f"--address={server.address}", "--output=json", "instances",
                       "get", "a-1")
    equal(result.code, 0, f"{result}")
    expect(any("Orchestration" in e for e in json.loads(result.out)["extensions"]),
           f"{result}")


@on_both_stores("A23.36 `rewind` restarts one that failed; others are refused")
def _(server, sidecar):
    with sidecar.worker() as worker:
        rows(server, "start", "Greet", "--id=a-1")
        worker.turn().complete(fail(1, "E", "no"))
        wait_until(lambda: status(server, "a-1") == "FAILED", "the failure")
        equal(text(server, "rewind", "a-1", "--reason=mended"), "Rewound a-1.\n",
              "what it says")
        turn = worker.turn()
        equal((turn.new, turn.event("executionRewound")["reason"]),
              (["OS", "executionRewound"], "mended"), "turn")
        equal(status(server, "a-1"), "RUNNING", "status")
        turn.complete(complete(1))
        wait_until(lambda: status(server, "a-1") == "COMPLETED", "the end")
    result = command(server, "rewind", "a-1")
    equal(result.code, 1, "exit code")
    contains(result.err, "FAILED_PRECONDITION", "COMPLETED")
    equal([e["reason"] for e in rows(server, "history", "a-1")
           if e["event"] == "execution_rewound"], ["mended"], "reasons")


@on_both_stores("A23.37 `history --export` writes it to a file, what it is and then an event a "
                "line")
def _(server, sidecar):
    run_to_end(sidecar, server, "a-1")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a-1.history"
        said = row(server, "history", "a-1", f"--export={path}")
        with open(path, encoding="utf-8") as file:
            heading, *events = [json.loads(line) for line in file]
        equal(heading, {"format": "leasehold.history.v1", "instance_id": "a-1"}, "heading")
        equal(events, as_exported(rows(server, "history", "a-1", "--raw")), "events")
        equal(said, {"instance_id": "a-1", "file": path, "events": len(events)},
              "what it says")
        failed(command(server, "history", "x", f"--export={folder}/x"), "NOT_FOUND", "x")
        equal(os.listdir(folder), ["a-1.history"], "files")


@on_both_stores("A23.38 `history` has what was asked of entities, and what came of it; so has its "
                "export")
def _(server, sidecar):
    with sidecar.worker() as worker:
        rows(server, "start", "Greet", "--id=a-1")
        worker.turn().complete(lock(1, "c-1", "@tally@a", "@tally@b"))
        worker.turn().complete(call_entity(2, "@tally@a", "add", "r-1", input="5"),
                               call_entity(3, "@tally@b", "rob", "r-2"))
        for _ in range(2):
            batch = worker.batch()
            batch.complete('"7"' if names(batch) == ["add"] else failure("Bad", "it broke"),
                           state="7")
        turn = worker.turn()
        while len(turn.past) + len(turn.new) < 10:
            turn.complete()
            turn = worker.turn()
        turn.complete(unlock(4, "c-1", "@tally@a"), unlock(5, "c-1", "@tally@b"),
                      entity_message(6, entityOperationSignaled=dict(
                          requestId="r-3", operation="log", targetInstanceId="@tally@a",
                          scheduledTime=now(3600))),
                      complete(7, '"done"'))
        sidecar.wait_for_completion("a-1")
    events = [e for e in rows(server, "history", "a-1") if e["event"].startswith("entity_")]
    called = {"event": "entity_called", "id": 2, "instance_id": "@tally@a", "operation": "add",
              "request_id": "r-1", "input": 5}
    by_name = {(e["event"], e.get("id")): {k: v for k, v in e.items()
                                           if k not in ("time", "turn")} for e in events}
    equal(by_name["entity_called", 2], called, "call")
    equal([{k: e[k] for k in ("section_id", "instance_ids") if k in e} for e in events[:2]],
          [{"section_id": "c-1", "instance_ids": ["@tally@a", "@tally@b"]},
           {"section_id": "c-1"}], "lock")
    equal(by_name["entity_call_completed", None],
          {"event": "entity_call_completed", "request_id": "r-1", "output": "7"},
          "answer")
    failed_call = by_name["entity_call_failed", None]
    equal((failed_call["request_id"], failed_call["failure"]["message"]), ("r-2", "it broke"),
          "failure")
    equal([(e["id"], e["instance_id"], e["section_id"]) for e in events
           if e["event"] == "entity_unlocked"],
          [(4, "@tally@a", "c-1"), (5, "@tally@b", "c-1")], "unlocks")
    signal_sent = by_name["entity_signaled", 6]
    equal((signal_sent["operation"], signal_sent["instance_id"]), ("log", "@tally@a"), "signal")
    expect("scheduled_time" in signal_sent, f"no time: {signal_sent}")
    lines = text(server, "history", "a-1").splitlines()
    for wanted in (r" 1 +entity_lock_requested +@tally@a @tally@b$",
                   r" 1 +entity_lock_granted +@tally@a @tally@b$",
                   r" 2 +entity_called +add of @tally@a, input 5$",
                   r" 2 +entity_call_completed +add of @tally@a, output \"7\"$",
                   r" 3 +entity_call_failed +rob of @tally@b, failure Bad: it broke",
                   r" 4 +entity_unlocked +@tally@a$",
                   rf" 6 +entity_signaled +log of @tally@a, not before {TIME}"):
        expect(any(re.search(wanted, line) for line in lines), f"wanted {wanted} in {lines}")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a-1.history"
        row(server, "history", "a-1", f"--export={path}")
        with open(path, encoding="utf-8") as file:
            exported = [json.loads(line) for line in file]
        equal(as_exported([e for e in rows(server, "history", "a-1", "--raw")
                           if e["event"].startswith("entity_")]),
              [e for e in exported if e.get("event", "").startswith("entity_")], "export")
