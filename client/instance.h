// Instance: what a server tells of an instance context.
//
// The same as the contract's message `leasehold.v1.Instance`, with durations
// and times as values of absl.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_INSTANCE_H_
#define LEASEHOLD_CLIENT_INSTANCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "leasehold/v1/instances.pb.h"

namespace leasehold::client {

enum class InstanceState {
  // Not told; or a state that this library does not know yet.
  kUnknown,
  // Initializers run; calls wait.
  kOpening,
  // Open, with pins.
  kBusy,
  // Open, without pins: its lease runs.
  kIdle,
  // Extensions are being detached; calls wait for the next context.
  kClosing,
};

// `OPENING`, `BUSY`, `IDLE`, `CLOSING` or `UNKNOWN`.
const char* InstanceStateName(InstanceState state);

struct Instance {
  // What keeps it busy, and how often: `hold` 1, `call` 2.
  struct Pins {
    std::string kind;
    uint64_t count = 0;
    friend bool operator==(const Pins&, const Pins&) = default;
  };

  std::string instance_id;
  uint64_t generation = 0;
  InstanceState state = InstanceState::kUnknown;
  absl::Duration idle_timeout;
  // Until the lease ends, if nobody uses the context. Only if it is idle.
  std::optional<absl::Duration> lease_remaining;
  std::vector<Pins> pins;
  // The types of its extensions, in order of attachment.
  std::vector<std::string> extensions;
  absl::Time create_time;
  // Now, if it is busy. Not told of one that closes.
  std::optional<absl::Time> last_use_time;

  // How many pins of a kind there are.
  uint64_t pin_count(std::string_view kind) const;
};

// A context that a call found or made.
struct OpenedInstance {
  Instance instance;
  // Whether this call made it.
  bool created = false;
};

// Between the contract's messages and values.
Instance FromProto(const leasehold::v1::Instance& proto);
absl::Duration FromProto(const google::protobuf::Duration& proto);
google::protobuf::Duration ToProto(absl::Duration duration);
// kUnknown becomes STATE_UNSPECIFIED.
leasehold::v1::Instance::State ToProto(InstanceState state);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_INSTANCE_H_
