// Says a line in a room, hears the others, leaves, and sees the lease go.
//
// usage: node room.js ADDRESS ID TEXT ECHOES
//
// The room is the server-side instance context that ID names: all who use the
// same ID, from whatever process or language, are in it. Ends after so many echoes
// and when the room is gone.
"use strict";

const grpc = require("@grpc/grpc-js");
const { credentials } = require("./credentials.cjs");
const { EchoClient } = require("./gen/leasehold/v1/echo.grpc-client");
const { InstancesClient } = require("./gen/leasehold/v1/instances.grpc-client");
const { WatchInstancesResponse_Event: Event } = require("./gen/leasehold/v1/instances");

async function main(address, room, text, echoes) {
  const metadata = new grpc.Metadata();
  metadata.set("instance-id", room);
  const echo = new EchoClient(address, credentials());
  const instances = new InstancesClient(address, credentials());

  const watch = instances.watch({ idPrefix: room });
  const events = watch[Symbol.asyncIterator]();
  await events.next(); // From its first answer on, no event is missed.

  // Busy for as long as this call is open: the lease does not run.
  const hold = instances.hold({ instanceId: "" }, metadata);
  const held = (await hold[Symbol.asyncIterator]().next()).value;
  const generation = held.instance.generation;
  console.log(`holds ${room}: generation ${generation}`);

  // From the oldest echo on that the server has.
  const join = echo.join({ afterSequence: "0" }, metadata);
  const room_events = join[Symbol.asyncIterator]();
  await room_events.next();

  let header;
  const said = await new Promise((resolve, reject) => {
    const call = echo.echo({ text }, metadata, {}, (error, response) =>
      error ? reject(error) : resolve(response));
    call.on("metadata", (received) => {
      header = received.get("instance-generation")[0];
    });
  });
  console.log(`said ${said.sequence}: ${text} (instance-generation: ${header})`);

  for (let heard = 0; heard < echoes; ) {
    const { event } = (await room_events.next()).value;
    if (event.oneofKind === "echo") {
      console.log(`heard ${event.echo.sequence}: ${event.echo.text}`);
      heard++;
    }
  }

  // What is cancelled ends with an error, which nobody has to hear.
  for (const call of [join, hold, watch]) call.on("error", () => {});
  join.cancel();
  hold.cancel();
  console.log(`left ${room}`);
  for (;;) {
    const event = (await events.next()).value;
    if (event.event === Event.CLOSED && event.instance.generation === generation) {
      console.log(`gone ${room}: ${event.reason}`);
      break;
    }
  }
  watch.cancel();
  echo.close();
  instances.close();
}

const [address, room, text, echoes] = process.argv.slice(2);
if (echoes === undefined) {
  console.error("usage: node room.js ADDRESS ID TEXT ECHOES");
  process.exit(2);
}
main(address, room, text, Number(echoes)).catch((error) => {
  console.error(error);
  process.exit(1);
});
