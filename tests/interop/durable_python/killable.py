"""A worker as a process of its own, to be killed: killable.py ADDRESS LABEL [STUCK]

Says `LABEL NAME` for whatever it begins. What is named STUCK (`turn`, `task`) it never
ends. It ends with the process that has its standard input.
"""

import sys
import threading

from durabletask import task

from hub import working

label, stuck = sys.argv[2], sys.argv[3:]


def begin(name):
    print(label, name, flush=True)
    if name in stuck:
        threading.Event().wait()


def killable(ctx, n):
    if not ctx.is_replaying:
        begin("turn")
    return (yield task.when_all([
        ctx.call_activity("killable_task", input=i) for i in range(n)]))


def killable_task(_, i):
    begin("task")
    return i


with working(killable, activities=[killable_task]):
    sys.stdin.read()
