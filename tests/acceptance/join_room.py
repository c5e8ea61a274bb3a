"""Joins a room as a Python program does, and says what it hears, a line an echo.

usage: join_room.py ADDRESS ID [TEXT]     with TEXT: echoes it there, and ends
"""

import pathlib
import sys
import tempfile

import grpc
import grpc_tools.protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


def main():
    address, instance_id, *text = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        grpc_tools.protoc.main([
            "", f"--proto_path={PROTO}", f"--python_out={folder}",
            f"--grpc_python_out={folder}", "leasehold/v1/echo.proto"])
        sys.path.insert(0, folder)
        from leasehold.v1 import echo_pb2, echo_pb2_grpc
    room = echo_pb2_grpc.EchoStub(grpc.insecure_channel(address))
    metadata = [("instance-id", instance_id)]
    if text:
        room.Echo(echo_pb2.EchoRequest(text=text[0]), metadata=metadata)
        return
    for said in room.Join(echo_pb2.JoinRequest(), metadata=metadata):
        print(said.echo.text if said.HasField("echo") else "joined", flush=True)


if __name__ == "__main__":
    main()
