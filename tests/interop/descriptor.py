"""A17: our contract of Durable Task is the one that the published SDKs are built from.

Both are taken apart into facts, such as

    message WorkItem, field completionToken, number: 10

by walking whatever a descriptor holds, so that no kind of fact can be forgotten.
Theirs is the descriptor in the Python package `durabletask`; ours is what protoc makes
of our file. They may differ in where the file lies, in comments and in order.
"""

import pathlib
import tempfile

import grpc_tools.protoc
from durabletask.internal import orchestrator_service_pb2
from google.protobuf import descriptor_pb2

import harness
from harness import check, equal, expect

FILE = "durabletask/orchestrator_service.proto"
SOURCE = harness.ROOT / "proto" / FILE

KINDS = {"message_type": "message", "nested_type": "nested message",
         "enum_type": "enum", "oneof_decl": "oneof"}


def ours(text=None):
    """The descriptor of our file, or of what it would be with this text."""
    with tempfile.TemporaryDirectory() as folder:
        source, result = pathlib.Path(folder) / FILE, pathlib.Path(folder) / "set"
        source.parent.mkdir()
        source.write_text(text or SOURCE.read_text())
        known = pathlib.Path(grpc_tools.protoc.__file__).parent / "_proto"
        code = grpc_tools.protoc.main([
            "protoc", f"--proto_path={folder}", f"--proto_path={known}",
            f"--descriptor_set_out={result}", FILE])
        equal(code, 0, f"exit code of protoc for {FILE}")
        return descriptor_pb2.FileDescriptorSet.FromString(
            result.read_bytes()).file[0]


def theirs():
    return descriptor_pb2.FileDescriptorProto.FromString(
        orchestrator_service_pb2.DESCRIPTOR.serialized_pb)


def facts(descriptor, place=(), message=None):
    """{place: value} of all that is said in a descriptor."""
    found = {}
    for field, value in descriptor.ListFields():
        kind = field.name
        if kind in ("name", "json_name"):
            continue  # The place; what protoc derives from it.
        if kind == "oneof_index":
            found[*place, "oneof"] = message.oneof_decl[value].name
        elif field.type != field.TYPE_MESSAGE:
            many = field.label == field.LABEL_REPEATED
            found[*place, kind] = sorted(value) if many else value
        elif field.label != field.LABEL_REPEATED:
            found.update(facts(value, (*place, kind)))
        elif "name" in field.message_type.fields_by_name:
            for item in value:
                inner = (*place, f"{KINDS.get(kind, kind)} {item.name}")
                found[inner] = "declared"
                found.update(facts(item, inner, descriptor))
        else:  # Ranges.
            found[*place, kind] = sorted(str(item).split() for item in value)
    return found


def differences(left, right):
    """A sentence each."""
    left, right = facts(left), facts(right)
    return [f"{', '.join(place)}: ours {left.get(place)}, theirs {right.get(place)}"
            for place in sorted(left.keys() | right.keys())
            if left.get(place) != right.get(place)]


@check("A17.1 our Durable Task contract is that of the Python SDK, field by field")
def _():
    equal(differences(ours(), theirs()), [], "differences")
    count = len(facts(ours()))
    expect(count > 1500, f"only {count} facts were compared")


# (what is written, what is planted in its place, what the finding must name)
PLANTED = (
    ("string completionToken = 10;", "string completion_token = 10;",
     "message WorkItem, field completion_token"),
    ("string completionToken = 10;", "string completionToken = 11;",
     "message WorkItem, field completionToken, number: ours 11, theirs 10"),
    ("int32 taskScheduledId = 1;", "int64 taskScheduledId = 1;",
     "field taskScheduledId, type"),
    ("HealthPing healthPing = 4;", "HistoryChunk healthPing = 4;",
     "message WorkItem, field healthPing, type_name"),
    ("repeated string instanceIds = 1;", "string instanceIds = 1;",
     "field instanceIds, label"),
    ("int32 eventId = 1;", "optional int32 eventId = 1;",
     "field eventId, proto3_optional"),
    ("  oneof resultType {", "  oneof result {", "oneof result: ours declared"),
    ("    InstanceBatch instanceBatch = 4;\n  }", "  }\n  InstanceBatch instanceBatch = 4;",
     "field instanceBatch, oneof: ours None, theirs request"),
    ("map<string, string> tags = 7;", "map<string, bytes> tags = 7;",
     "nested message TagsEntry, field value, type"),
    ("spanID = 2 [deprecated = true];", "spanID = 2;",
     "field spanID, options, deprecated: ours None, theirs True"),
    ("  reserved 2;\n", "", "reserved_range: ours None"),
    ("ORCHESTRATION_STATUS_PENDING = 6;", "ORCHESTRATION_STATUS_PENDING = 8;",
     "value ORCHESTRATION_STATUS_PENDING, number"),
    ("WORKER_CAPABILITY_LARGE_PAYLOADS = 3;\n", "\n",
     "value WORKER_CAPABILITY_LARGE_PAYLOADS: ours None"),
    ("rpc GetWorkItems(GetWorkItemsRequest) returns (stream WorkItem);",
     "rpc GetWorkItems(GetWorkItemsRequest) returns (WorkItem);",
     "method GetWorkItems, server_streaming: ours None, theirs True"),
    ("rpc Hello(google.protobuf.Empty)", "rpc Hello(HealthPing)",
     "method Hello, input_type"),
    ("rpc RaiseEvent(RaiseEventRequest) returns (RaiseEventResponse);", "",
     "method RaiseEvent: ours None"),
    ("message HealthPing {}", "message HealthPing {}\nmessage Ours {}",
     "message Ours: ours declared, theirs None"),
    ('syntax = "proto3";', 'syntax = "proto3";\npackage durabletask;', "package"),
    ('option go_package = "/internal/protos";\n', "", "options, go_package"),
)


@check("A17.2 whatever differs is found and named")
def _():
    text = SOURCE.read_text()
    for written, planted, named in PLANTED:
        changed = text.replace(written, planted)
        expect(changed != text, f"the contract does not say {written!r}")
        found = differences(ours(changed), theirs())
        expect(any(named in finding for finding in found),
               f"{planted!r} wants a finding that names {named!r}, got {found}")
