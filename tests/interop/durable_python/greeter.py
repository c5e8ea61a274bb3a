"""Greets whoever is named on a line of standard input, through the connection of
client/examples: TLS, a certificate and a token, if the environment says so.

usage: greeter.py ADDRESS [asyncio]
"""

import asyncio
import logging
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "client/examples/python"))

import grpc
from connection import connect
from durabletask.client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

LOGGER = logging.Logger("silent", logging.CRITICAL)


def say_hello(_, name):
    return f"Hello, {name}!"


def greeting(ctx, name):
    return (yield ctx.call_activity(say_hello, input=name))


class Client:
    def __init__(self, address):
        self.client = TaskHubGrpcClient(channel=connect(address), logger=LOGGER)

    def greet(self, name):
        id = self.client.schedule_new_orchestration(greeting, input=name)
        return self.client.wait_for_orchestration_completion(id)


class AsyncioClient:
    def __init__(self, address):
        self.loop = asyncio.new_event_loop()
        self.client = self.loop.run_until_complete(self.open(address))

    async def open(self, address):
        return AsyncTaskHubGrpcClient(channel=connect(address, grpc.aio), logger=LOGGER)

    async def run(self, name):
        id = await self.client.schedule_new_orchestration(greeting, input=name)
        return await self.client.wait_for_orchestration_completion(id)

    def greet(self, name):
        return self.loop.run_until_complete(self.run(name))


def main(address, by=""):
    worker = TaskHubGrpcWorker(channel=connect(address), logger=LOGGER)
    worker.add_orchestrator(greeting)
    worker.add_activity(say_hello)
    with worker:
        worker.start()
        client = (AsyncioClient if by == "asyncio" else Client)(address)
        for line in sys.stdin:
            try:
                print(f"said {client.greet(line.strip()).get_output()}", flush=True)
            except grpc.RpcError as error:
                print("failed", *str(error).split(), flush=True)


main(*sys.argv[1:])
