// Between the instance room's values and the messages of instances.proto.
//
// Thread-safety: safe (pure functions).
#ifndef LEASEHOLD_SERVICE_DOORS_INSTANCE_MESSAGES_H_
#define LEASEHOLD_SERVICE_DOORS_INSTANCE_MESSAGES_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "leasehold/v1/instances.pb.h"
#include "service/instance/instance_info.h"
#include "service/instance/watch_hub.h"

namespace leasehold {

void ToMessage(absl::Duration duration, google::protobuf::Duration& message);
void ToMessage(absl::Time time, google::protobuf::Timestamp& message);
void ToMessage(const InstanceInfo& info, v1::Instance& message);
// What a watcher is told of an event: the state is that of the event, and the
// rest comes from `info`, which is what is known of the context now. False: the
// watcher is told nothing.
bool ToMessage(const WatchHub::Event& event, std::optional<InstanceInfo> info,
               v1::WatchInstancesResponse& message);

//   InvalidArgument: outside the range of a Duration, or negative.
absl::StatusOr<absl::Duration> FromMessage(
    const google::protobuf::Duration& message, std::string_view field);
//   InvalidArgument: an unknown state, or a page size below zero.
absl::StatusOr<InstanceQuery> FromMessage(
    const v1::ListInstancesRequest& message);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_INSTANCE_MESSAGES_H_
