// The header contract as a client sees it: what a call says about its instance,
// and what the response says back.
//
// Which of the two headers carries an ID: lease/base/instance_id.h. The server
// decides whether an ID is allowed at all.
//
// Thread-safety: safe; a ClientContext belongs to its caller.   Lifetime:
// values only.
#ifndef LEASEHOLD_CLIENT_WIRE_INSTANCE_METADATA_H_
#define LEASEHOLD_CLIENT_WIRE_INSTANCE_METADATA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "grpcpp/client_context.h"

namespace leasehold::client {

// What the caller expects of the instance context it names.
enum class Expect {
  // Attach to the context if there is one, else create it.
  kAny,
  // Create it; ALREADY_EXISTS if it exists.
  kNew,
  // Attach to it; NOT_FOUND if it does not exist.
  kExisting,
};

// Names the instance of a call. REQUIRES: `id` is not empty.
void AddInstanceId(const std::string& id, grpc::ClientContext& context);

// The idle timeout that the context gets if this call creates it; sent in whole
// milliseconds, rounded up. REQUIRES: positive and finite.
void AddIdleTimeout(absl::Duration timeout, grpc::ClientContext& context);

// Says what the caller expects; nothing is sent for kAny.
void AddExpect(Expect expect, grpc::ClientContext& context);

// What the response's initial metadata says. A field that is absent or cannot
// be read is empty.
struct InstanceMetadata {
  // Only if this call created the context.
  std::optional<std::string> instance_id;
  std::optional<uint64_t> generation;
  bool created = false;
  // Only if this call created the context.
  std::optional<absl::Duration> idle_timeout;
};

// REQUIRES: the call of `context` has ended, or its initial metadata has been
// received.
InstanceMetadata ReadInstanceMetadata(const grpc::ClientContext& context);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_INSTANCE_METADATA_H_
