// Greets whoever is named on a line of standard input, through the credentials of
// client/examples: TLS, a certificate and a token, if the environment says so.
//
// usage: greeter.mjs ADDRESS

import { createInterface } from "node:readline";
import { NoOpLogger, TaskHubGrpcClient, TaskHubGrpcWorker } from "@microsoft/durabletask-js";
import { credentials } from "./credentials.cjs";

const sayHello = async (_, name) => `Hello, ${name}!`;

const greeting = async function* (ctx, name) {
  return yield ctx.callActivity(sayHello, name);
};

const options = {
  hostAddress: process.argv[2], credentials: credentials(), logger: new NoOpLogger(),
};
const worker = new TaskHubGrpcWorker(options);
worker.addOrchestrator(greeting);
worker.addActivity(sayHello);
await worker.start();

const client = new TaskHubGrpcClient(options);
for await (const name of createInterface({ input: process.stdin })) {
  try {
    const id = await client.scheduleNewOrchestration(greeting, name);
    const state = await client.waitForOrchestrationCompletion(id);
    console.log(`said ${JSON.parse(state.serializedOutput)}`);
  } catch (error) {
    console.log(`failed ${error.message}`);
  }
}
await Promise.all([worker.stop(), client.stop()]);
