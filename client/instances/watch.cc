#include "client/instances/watch.h"

namespace leasehold::client {
namespace {

using Kind = WatchEvent::Kind;
using Proto = leasehold::v1::WatchInstancesResponse;

Kind FromProto(Proto::Event event) {
  switch (event) {
    case Proto::SNAPSHOT:
      return Kind::kSnapshot;
    case Proto::SNAPSHOT_DONE:
      return Kind::kSnapshotDone;
    case Proto::CREATED:
      return Kind::kCreated;
    case Proto::IDLE:
      return Kind::kIdle;
    case Proto::BUSY:
      return Kind::kBusy;
    case Proto::RENEWED:
      return Kind::kRenewed;
    case Proto::CLOSING:
      return Kind::kClosing;
    case Proto::CLOSED:
      return Kind::kClosed;
    case Proto::LAGGED:
      return Kind::kLagged;
    case Proto::PINS_CHANGED:
      return Kind::kPinsChanged;
    case Proto::HELD_BY_PROVIDER:
      return Kind::kHeldByProvider;
    default:
      return Kind::kUnknown;
  }
}

}  // namespace

const char* WatchEventName(Kind kind) {
  switch (kind) {
    case Kind::kSnapshot:
      return "SNAPSHOT";
    case Kind::kSnapshotDone:
      return "SNAPSHOT_DONE";
    case Kind::kCreated:
      return "CREATED";
    case Kind::kIdle:
      return "IDLE";
    case Kind::kBusy:
      return "BUSY";
    case Kind::kRenewed:
      return "RENEWED";
    case Kind::kClosing:
      return "CLOSING";
    case Kind::kClosed:
      return "CLOSED";
    case Kind::kLagged:
      return "LAGGED";
    case Kind::kPinsChanged:
      return "PINS_CHANGED";
    case Kind::kHeldByProvider:
      return "HELD_BY_PROVIDER";
    case Kind::kUnknown:
      break;
  }
  return "UNKNOWN";
}

WatchEvent FromProto(const Proto& proto) {
  return {FromProto(proto.event()), FromProto(proto.instance()),
          proto.reason()};
}

}  // namespace leasehold::client
