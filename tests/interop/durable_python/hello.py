"""Needs a server at localhost:4001, the address that the SDK itself assumes."""

from durabletask import client, worker


def say_hello(_, name):
    return f"Hello, {name}!"


def greetings(ctx, names):
    said = []
    for name in names:
        said.append((yield ctx.call_activity(say_hello, input=name)))
    return said


with worker.TaskHubGrpcWorker() as w, client.TaskHubGrpcClient() as c:
    w.add_orchestrator(greetings)
    w.add_activity(say_hello)
    w.start()
    id = c.schedule_new_orchestration(greetings, input=["Tokyo", "Seattle", "London"])
    print(c.wait_for_orchestration_completion(id).serialized_output)
