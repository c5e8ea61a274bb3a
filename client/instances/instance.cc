#include "client/instances/instance.h"

#include "client/wire/timestamp.h"

namespace leasehold::client {
namespace {

using ProtoInstance = leasehold::v1::Instance;

InstanceState FromProto(ProtoInstance::State state) {
  switch (state) {
    case ProtoInstance::OPENING:
      return InstanceState::kOpening;
    case ProtoInstance::BUSY:
      return InstanceState::kBusy;
    case ProtoInstance::IDLE:
      return InstanceState::kIdle;
    case ProtoInstance::CLOSING:
      return InstanceState::kClosing;
    default:
      return InstanceState::kUnknown;
  }
}

}  // namespace

const char* InstanceStateName(InstanceState state) {
  switch (state) {
    case InstanceState::kOpening:
      return "OPENING";
    case InstanceState::kBusy:
      return "BUSY";
    case InstanceState::kIdle:
      return "IDLE";
    case InstanceState::kClosing:
      return "CLOSING";
    case InstanceState::kUnknown:
      break;
  }
  return "UNKNOWN";
}

uint64_t Instance::pin_count(std::string_view kind) const {
  uint64_t count = 0;
  for (const Pins& pin : pins) {
    if (pin.kind == kind) count += pin.count;
  }
  return count;
}

Instance FromProto(const ProtoInstance& proto) {
  Instance instance;
  instance.instance_id = proto.instance_id();
  instance.generation = proto.generation();
  instance.state = FromProto(proto.state());
  instance.idle_timeout = FromProto(proto.idle_timeout());
  if (proto.has_lease_remaining()) {
    instance.lease_remaining = FromProto(proto.lease_remaining());
  }
  instance.held_by_provider = proto.held_by_provider();
  for (const ProtoInstance::Pins& pins : proto.pins()) {
    instance.pins.push_back({pins.kind(), pins.count()});
  }
  instance.extensions.assign(proto.extensions().begin(),
                             proto.extensions().end());
  instance.create_time = FromProto(proto.create_time());
  if (proto.has_last_use_time()) {
    instance.last_use_time = FromProto(proto.last_use_time());
  }
  return instance;
}

ProtoInstance::State ToProto(InstanceState state) {
  switch (state) {
    case InstanceState::kOpening:
      return ProtoInstance::OPENING;
    case InstanceState::kBusy:
      return ProtoInstance::BUSY;
    case InstanceState::kIdle:
      return ProtoInstance::IDLE;
    case InstanceState::kClosing:
      return ProtoInstance::CLOSING;
    case InstanceState::kUnknown:
      break;
  }
  return ProtoInstance::STATE_UNSPECIFIED;
}

}  // namespace leasehold::client
