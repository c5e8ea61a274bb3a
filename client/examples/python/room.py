"""Says a line in a room, hears the others, leaves, and sees the lease go.

usage: room.py ADDRESS ID TEXT ECHOES

The room is the server-side instance context that ID names: all who use the same
ID, from whatever process or language, are in it. Ends after so many echoes and when
the room is gone.
"""

import sys

from connection import connect
from leasehold.v1 import echo_pb2, echo_pb2_grpc, instances_pb2, instances_pb2_grpc


def main(address, room, text, echoes):
    metadata = [("instance-id", room)]
    with connect(address) as channel:
        echo = echo_pb2_grpc.EchoStub(channel)
        instances = instances_pb2_grpc.InstancesStub(channel)

        watch = instances.Watch(instances_pb2.WatchInstancesRequest(id_prefix=room))
        next(watch)  # From its first answer on, no event is missed.

        # Busy for as long as this call is open: the lease does not run.
        hold = instances.Hold(instances_pb2.HoldRequest(), metadata=metadata)
        generation = next(hold).instance.generation
        print(f"holds {room}: generation {generation}", flush=True)

        # From the oldest echo on that the server has.
        join = echo.Join(echo_pb2.JoinRequest(after_sequence=0), metadata=metadata)
        next(join)

        said, call = echo.Echo.with_call(echo_pb2.EchoRequest(text=text),
                                         metadata=metadata)
        header = dict(call.initial_metadata())["instance-generation"]
        print(f"said {said.sequence}: {text} (instance-generation: {header})",
              flush=True)

        heard = 0
        while heard < echoes:
            event = next(join)
            if event.HasField("echo"):
                print(f"heard {event.echo.sequence}: {event.echo.text}", flush=True)
                heard += 1

        join.cancel()
        hold.cancel()
        print(f"left {room}", flush=True)
        for event in watch:
            if (event.event == instances_pb2.WatchInstancesResponse.CLOSED
                    and event.instance.generation == generation):
                print(f"gone {room}: {event.reason}", flush=True)
                return


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
