// Instance: what a server says about an instance context.
//
// The same as the message `leasehold.v1.Instance`, with durations and times as
// values of absl.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_INSTANCES_INSTANCE_H_
#define LEASEHOLD_CLIENT_INSTANCES_INSTANCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "client/wire/timestamp.h"
#include "leasehold/v1/instances.pb.h"

namespace leasehold::client {

enum class InstanceState {
  // The server did not say, or this library does not know the state.
  kUnknown,
  // Initializers are running; calls wait.
  kOpening,
  // Open, with pins.
  kBusy,
  // Open, without pins: its lease is running.
  kIdle,
  // Its extensions are being detached; calls wait for the next context.
  kClosing,
};

// `OPENING`, `BUSY`, `IDLE`, `CLOSING` or `UNKNOWN`.
const char* InstanceStateName(InstanceState state);

struct Instance {
  // What keeps it busy, and how many of each kind: `hold` 1, `call` 2.
  struct Pins {
    std::string kind;
    uint64_t count = 0;
    friend bool operator==(const Pins&, const Pins&) = default;
  };

  std::string instance_id;
  uint64_t generation = 0;
  InstanceState state = InstanceState::kUnknown;
  absl::Duration idle_timeout;
  // Until the lease ends, if nobody uses the context. Only of an idle one.
  std::optional<absl::Duration> lease_remaining;
  // It is idle and its lease has ended, but the server's policy keeps it.
  bool held_by_provider = false;
  std::vector<Pins> pins;
  // The types of its extensions, in order of attachment.
  std::vector<std::string> extensions;
  absl::Time create_time;
  // The present time if it is busy. Empty for one that is closing.
  std::optional<absl::Time> last_use_time;

  // How many pins of a kind there are.
  uint64_t pin_count(std::string_view kind) const;
};

// A context that a call found or created.
struct OpenedInstance {
  Instance instance;
  // Whether this call created it.
  bool created = false;
};

// Convert between the contract's messages and these values.
Instance FromProto(const leasehold::v1::Instance& proto);
// kUnknown becomes STATE_UNSPECIFIED.
leasehold::v1::Instance::State ToProto(InstanceState state);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_INSTANCES_INSTANCE_H_
