"""Two accounts that are entities, and transfers that nobody sees half done.

usage: accounts.py ADDRESS
"""

import logging
import sys
import uuid

from connection import connect
from durabletask.client import TaskHubGrpcClient
from durabletask.entities import DurableEntity, EntityInstanceId
from durabletask.worker import TaskHubGrpcWorker


class Account(DurableEntity):
    """Its state is its balance. Operations on it run one after the other."""

    def deposit(self, amount):
        self.set_state(self.balance() + amount)

    def withdraw(self, amount):
        if self.balance() < amount:
            raise ValueError(f"there are only {self.balance()}")  # Changes nothing.
        self.set_state(self.balance() - amount)

    def balance(self):
        return self.get_state(int, 0)


def transfer(ctx, order):
    source, target = (EntityInstanceId("Account", order[end]) for end in ("from", "to"))
    with (yield ctx.lock_entities([source, target])):  # Until the end of this block.
        yield ctx.call_entity(source, "withdraw", order["amount"])
        yield ctx.call_entity(target, "deposit", order["amount"])
        left = yield ctx.call_entity(source, "balance")
        return f"{left} and {(yield ctx.call_entity(target, 'balance'))}"


def main(address):
    logger = logging.Logger("silent", logging.CRITICAL)
    channel = connect(address)
    worker = TaskHubGrpcWorker(channel=channel, logger=logger)
    worker.add_entity(Account)
    worker.add_orchestrator(transfer)
    with worker, TaskHubGrpcClient(channel=channel, logger=logger) as client:
        worker.start()
        alice, bob = (f"{name}-{uuid.uuid4()}" for name in ("alice", "bob"))
        client.signal_entity(EntityInstanceId("Account", alice), "deposit", 100)
        for amount in (30, 80):
            id = client.schedule_new_orchestration(
                transfer, input={"from": alice, "to": bob, "amount": amount})
            state = client.wait_for_orchestration_completion(id)
            print(f"transfer of {amount}: {state.get_output() or 'not done'}")


main(sys.argv[1])
