#!/usr/bin/env python3
"""A worker process, to be killed: does what comes, and says if it cannot be right.

usage: worker.py ADDRESS SEED

Prints `violation: ...` for what the server must not have sent. Gives some of its
work back, finishes some of it twice, and connects again whenever the server comes
back.
"""

import json
import os
import pathlib
import random
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/acceptance"), str(ROOT / "tests/interop")]

import grpc  # noqa: E402

import programs  # noqa: E402
import sidecar  # noqa: E402

ABANDONED, DOUBLED, SLOW = 0.01, 0.02, 0.05  # Of all work.


def say(text):
    print(text, flush=True)


class Worker:
    def __init__(self, address, seed):
        self.client = sidecar.Sidecar(address, impatient=True)
        self.dice = random.Random(seed)

    def run(self):
        while True:
            try:
                for item in self.client.call(
                        "GetWorkItems", None, maxConcurrentOrchestrationWorkItems=30,
                        maxConcurrentActivityWorkItems=30):
                    self.take(item)
            except grpc.RpcError:
                time.sleep(0.02)  # The server is dead.

    def take(self, item):
        kind = sidecar.kind_of(item)
        if kind == "healthPing":
            return
        request = getattr(item, kind)
        turn = kind == "orchestratorRequest"
        if self.dice.random() < ABANDONED:
            self.client.begin("AbandonTaskOrchestratorWorkItem" if turn else
                              "AbandonTaskActivityWorkItem",
                              completionToken=item.completionToken)
            return
        method, answer = self.turn(request) if turn else self.activity(request)
        if method is None:
            return
        answer["completionToken"] = item.completionToken
        slow = self.dice.random() < SLOW
        times = 2 if self.dice.random() < DOUBLED else 1

        def finish():
            for _ in range(times):
                self.client.begin(method, **answer)
        if slow:
            threading.Timer(self.dice.uniform(0.005, 0.1), finish).start()
        else:
            finish()

    def turn(self, request):
        try:
            actions, custom_status = programs.replay(request)
        except programs.Violation as violation:
            say(f"violation: {request.instanceId} {violation}: "
                f"{[sidecar.brief(e) for e in request.pastEvents]} and then "
                f"{[sidecar.brief(e) for e in request.newEvents]}")
            return None, None
        return "CompleteOrchestratorTask", dict(
            instanceId=request.instanceId, actions=actions, customStatus=custom_status)

    def activity(self, request):
        answer = dict(instanceId=request.orchestrationInstance.instanceId,
                      taskId=request.taskId)
        try:
            answer["result"] = json.dumps(programs.ACTIVITIES[request.name](
                json.loads(request.input.value)))
        except programs.TaskFailed as failure:
            answer["failureDetails"] = sidecar.failure("TaskFailed", str(failure))
        return "CompleteActivityTask", answer


if __name__ == "__main__":
    try:
        Worker(sys.argv[1], int(sys.argv[2])).run()
    except KeyboardInterrupt:
        os._exit(0)
