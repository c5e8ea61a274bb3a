// Values that many messages of the Durable Task contract have, as ours.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_VALUES_H_
#define LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_VALUES_H_

#include <google/protobuf/message_lite.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <algorithm>

#include "service/doors/message_values.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/history.h"

namespace leasehold {

inline Payload ToPayload(bool has, const google::protobuf::StringValue& value) {
  if (!has) return std::nullopt;
  return value.value();
}

inline OpaqueMessage Opaque(bool has,
                            const google::protobuf::MessageLite& message) {
  if (!has) return {};
  return {message.SerializeAsString()};
}

// Of a trace that is too long there is none: nobody's work depends on it.
inline OpaqueMessage Trace(bool has,
                           const google::protobuf::MessageLite& message) {
  if (message.ByteSizeLong() > kTraceBytesMax) return {};
  return Opaque(has, message);
}

inline Timestamp ToValue(const google::protobuf::Timestamp& message) {
  return {message.seconds(), message.nanos()};
}

template <typename Map>
StringMap ToMap(const Map& map) {
  StringMap values(map.begin(), map.end());
  std::sort(values.begin(), values.end());  // The same bytes each time.
  return values;
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_DURABLE_TASK_VALUES_H_
