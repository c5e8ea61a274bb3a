"""The client that a Functions app in Python gets, with our address: client.py ORIGIN"""

import asyncio
import datetime
import json
import sys
import unittest
import urllib.request

import azure.durable_functions as df
from azure.durable_functions.models.utils import http_utils

ORIGIN = sys.argv.pop(1)
PREFIX = f"{ORIGIN}/runtime/webhooks/durabletask"
PLACEHOLDER = "INSTANCE_ID"
STATUS = df.OrchestrationRuntimeStatus


def management_urls():
    """The answer of a start, in which the client puts other IDs."""
    request = urllib.request.Request(f"{PREFIX}/orchestrators/Counter/{PLACEHOLDER}",
                                     b"0", method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


CONTEXT = json.dumps({
    "taskHubName": "default",
    "creationUrls": {"createNewInstancePostUri":
                     f"{PREFIX}/orchestrators/{{functionName}}[/{{instanceId}}]?taskHub=default"},
    "managementUrls": management_urls(),
    "rpcBaseUrl": f"{ORIGIN}/durabletask/",
    "baseUrl": PREFIX,
    "requiredQueryStringParameters": "taskHub=default",
    "maxGrpcMessageSizeInBytes": 4194304,
})


class Client(unittest.IsolatedAsyncioTestCase):
    count = 0

    async def asyncSetUp(self):
        self.client = df.DurableOrchestrationClient(CONTEXT)

    async def asyncTearDown(self):
        await http_utils._close_session()  # It belongs to this test's loop.

    def new_id(self):
        Client.count += 1
        return f"py-{Client.count}"

    async def until(self, what, condition):
        for _ in range(600):
            found = await condition()
            if found:
                return found
            await asyncio.sleep(0.05)
        self.fail(f"waited in vain for {what}")

    async def wait_for(self, instance, status):
        async def found():
            state = await self.client.get_status(instance, show_input=True)
            return state if state.runtime_status == status else None
        return await self.until(status, found)

    def history(self, instance):
        """Users ask for it by its URL: the client's own class drops historyEvents."""
        url = self.client.create_http_management_payload(instance)["statusQueryGetUri"]
        with urllib.request.urlopen(f"{url}&showHistory=true&showHistoryOutput=true") as answer:
            return json.load(answer)["historyEvents"]

    async def test_starts_and_the_status_has_input_output_and_times(self):
        instance = self.new_id()
        self.assertEqual(
            await self.client.start_new("Ping", instance, {"n": [1]}), instance)
        status = await self.wait_for(instance, STATUS.Completed)
        self.assertEqual((status.name, status.instance_id), ("Ping", instance))
        # The client writes its inputs as JSON in JSON, which its orchestrators take apart.
        self.assertEqual(json.loads(status.output), {"n": [1]})
        self.assertEqual(json.loads(status.input_), {"n": [1]})
        self.assertIsInstance(status.created_time, datetime.datetime)
        self.assertGreaterEqual(status.last_updated_time, status.created_time)

    async def test_starts_without_an_id_and_without_an_input(self):
        instance = await self.client.start_new("Ping")
        self.assertTrue(instance)
        await self.wait_for(instance, STATUS.Completed)

    async def test_a_second_start_of_an_active_id_is_refused(self):
        instance = self.new_id()
        await self.client.start_new("nobody's", instance)
        with self.assertRaises(Exception):
            await self.client.start_new("nobody's", instance)
        status = await self.client.get_status(instance)
        self.assertEqual(status.runtime_status, STATUS.Pending)

    async def test_events_suspend_resume_terminate(self):
        client, instance = self.client, self.new_id()
        await client.start_new("Counter", instance)
        await self.wait_for(instance, STATUS.Running)
        await client.raise_event(instance, "operation", {"add": 4})

        async def raised():
            return any(event["EventType"] == "EventRaised" and event["Name"] == "operation"
                       for event in self.history(instance))
        await self.until("the event", raised)
        await client.suspend(instance, "a rest")
        await self.wait_for(instance, STATUS.Suspended)
        await client.resume(instance, "go on")
        await self.wait_for(instance, STATUS.Running)
        await client.terminate(instance, "enough of it")
        status = await self.wait_for(instance, STATUS.Terminated)
        self.assertEqual(status.output, "enough of it")
        with self.assertRaisesRegex(Exception, "gone"):
            await client.raise_event(instance, "operation", "incr")
        with self.assertRaisesRegex(Exception, "No instance"):
            await client.raise_event("missing", "operation")
        with self.assertRaisesRegex(Exception, "No instance"):
            await client.terminate("missing", "")

    async def test_the_history(self):
        instance = self.new_id()
        await self.client.start_new("EchoSequence", instance)
        status = await self.wait_for(instance, STATUS.Completed)
        done = [event for event in self.history(instance)
                if event["EventType"] == "TaskCompleted"]
        self.assertGreater(len(done), 1)
        for event in done:
            self.assertEqual(event["FunctionName"], "Echo")
            self.assertIn(event["Result"]["text"], [said["text"] for said in status.output])

    async def test_lists_and_purges_by_status_and_time(self):
        client = self.client
        before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
        instances = [self.new_id(), self.new_id()]
        for instance in instances:
            await client.start_new("Ping", instance)
        for instance in instances:
            await self.wait_for(instance, STATUS.Completed)
        found = await client.get_status_by(created_time_from=before,
                                           runtime_status=[STATUS.Completed],
                                           instance_id_prefix="py-")
        self.assertTrue(set(instances) <= {status.instance_id for status in found})
        self.assertGreater(len(await client.get_status_all()), 2)
        self.assertEqual((await client.purge_instance_history(instances[0])).instances_deleted,
                         1)
        self.assertEqual((await client.purge_instance_history(instances[0])).instances_deleted,
                         0)
        gone = await client.purge_instance_history_by(before, None, [STATUS.Completed])
        self.assertGreaterEqual(gone.instances_deleted, 1)

    async def test_waits_for_the_end_or_gives_the_urls(self):
        client, instance = self.client, self.new_id()
        await client.start_new("Ping", instance, "x")
        answer = await client.wait_for_completion_or_create_check_status_response(
            None, instance, 10000, 100)
        self.assertEqual((answer.status_code, json.loads(answer.get_body())), (200, "x"))
        waiting = self.new_id()
        await client.start_new("nobody's", waiting)
        answer = await client.wait_for_completion_or_create_check_status_response(
            None, waiting, 1000, 200)
        self.assertEqual(answer.status_code, 202)
        self.assertEqual(json.loads(answer.get_body())["id"], waiting)

    async def test_restart_and_rewind(self):
        client, instance = self.client, self.new_id()
        await client.start_new("Ping", instance, "x")
        await self.wait_for(instance, STATUS.Completed)
        again = (await client.restart(instance))["id"]  # It gives the whole answer.
        self.assertNotEqual(again, instance)
        status = await self.wait_for(again, STATUS.Completed)
        self.assertEqual(json.loads(status.output), "x")
        with self.assertRaises(Exception):
            await client.rewind(instance, "why")
        with self.assertRaises(Exception):
            await client.rewind("missing", "why")

    async def test_entities(self):
        client, entity = self.client, df.EntityId("Counter", self.new_id())
        self.assertFalse((await client.read_entity_state(entity)).entity_exists)
        await client.signal_entity(entity, "reset")

        async def state():
            found = await client.read_entity_state(entity)
            return found.entity_exists and found.entity_state == 0
        await self.until("0", state)


if __name__ == "__main__":
    unittest.main(verbosity=2)
