// InstanceInfo: a snapshot of a context, as plain values.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_INSTANCE_INSTANCE_INFO_H_
#define LEASEHOLD_SERVICE_INSTANCE_INSTANCE_INFO_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "service/instance/instance_key.h"

namespace leasehold {

// What keeps a context busy.
enum class PinKind {
  kCall,
  kEchoStream,
  kJoin,
  kHold,
  kWorkItem,
};
inline constexpr size_t kPinKinds = 5;

// `call`, `echo-stream`, `join`, `hold`, `work-item`.
std::string_view PinKindName(PinKind kind);

// Who holds a pin for long, for people. Empty: unknown.
struct PinHolder {
  std::string method = {};  // `leasehold.v1.Instances/Hold`.
  std::string peer = {};    // Its address, as gRPC writes it.
  std::string identity = {};
};

enum class InstanceState { kOpening, kBusy, kIdle, kClosing };

struct InstanceInfo {
  struct Pins {
    PinKind kind;
    uint64_t count;
  };

  // A pin that states its purpose.
  struct Held {
    PinKind kind = PinKind::kHold;
    PinHolder holder = {};
    absl::Duration age = {};
  };

  InstanceKey key;
  uint64_t generation = 0;
  InstanceState state = InstanceState::kOpening;
  absl::Duration idle_timeout;
  std::optional<absl::Duration> lease_remaining;  // If idle.
  // Idle, but kept open because its provider says that it is not idle.
  bool held_by_provider = false;
  std::vector<Pins> pins;
  std::vector<Held> held;               // The oldest ones; only if asked for.
  std::vector<std::string> extensions;  // Type names, in order of attachment.
  absl::Time create_time;
  absl::Time last_use_time;
};

// Selects the contexts of a List call, and how many it returns.
struct InstanceQuery {
  size_t page_size = 100;
  std::string page_token;  // Empty: the first page.
  std::string id_prefix;
  std::optional<InstanceState> state;
};

struct InstancePage {
  std::vector<InstanceInfo> instances;
  std::string next_page_token;  // Empty: the last page.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_INFO_H_
