// Needs a server at localhost:4001, the address that the SDK itself assumes.
import { NoOpLogger, TaskHubGrpcClient, TaskHubGrpcWorker } from "@microsoft/durabletask-js";

const sayHello = async (_, name) => `Hello, ${name}!`;

const greetings = async function* (ctx, names) {
  const said = [];
  for (const name of names) said.push(yield ctx.callActivity(sayHello, name));
  return said;
};

const worker = new TaskHubGrpcWorker({ logger: new NoOpLogger() });
worker.addOrchestrator(greetings);
worker.addActivity(sayHello);
await worker.start();

const client = new TaskHubGrpcClient({ logger: new NoOpLogger() });
const id = await client.scheduleNewOrchestration(greetings, ["Tokyo", "Seattle", "London"]);
const state = await client.waitForOrchestrationCompletion(id);
console.log(state.serializedOutput);

await Promise.all([worker.stop(), client.stop()]);
