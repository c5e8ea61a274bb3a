// The header contract: how a call names its instance, and what it may request.
//
//   instance-id: room-1            the context; absent: a fresh random UUID
//   instance-id-bin: <bytes>       the same, for IDs outside printable ASCII
//   instance-idle-timeout: 90s     the idle timeout, if this call creates it
//   instance-expect: new|existing  fail if it exists, or if it does not
//
// The name `instance-id` is configurable; the others are fixed. This room has
// no gRPC types: headers are pairs of strings.
//
// Thread-safety: safe (values, pure functions).
#ifndef LEASEHOLD_SERVICE_INSTANCE_INSTANCE_HEADERS_H_
#define LEASEHOLD_SERVICE_INSTANCE_INSTANCE_HEADERS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lease/base/header_names.h"
#include "service/base/timeout.h"
#include "service/instance/instance_key.h"

namespace leasehold {

// What a call expects of its context.
enum class Expect {
  kAny,       // Attach to an existing one, or create it.
  kNew,       // Create it; AlreadyExists if there is one.
  kExisting,  // Attach to it; NotFound if there is none.
};

// What else is known of a call, for initializers. Asked only if the call
// creates a context.
class RequestMetadata {
 public:
  virtual ~RequestMetadata() = default;
  // All its metadata, in no order.
  virtual std::vector<std::pair<std::string, std::string>> Copy() const = 0;
  // `package.Service/Method`, as far as it is known; empty: it is not.
  virtual std::string Method() const { return {}; }
  // Where it comes from, as gRPC writes it (`ipv4:127.0.0.1:41234`); empty: it
  // is not known.
  virtual std::string Peer() const { return {}; }
};

class InstanceContextProvider;

struct InstanceRequest {
  InstanceKey key;
  bool id_generated = false;  // The caller named none; `key.id` is fresh.
  std::optional<absl::Duration> idle_timeout =
      std::nullopt;  // As requested; not yet clamped.
  Expect expect = Expect::kAny;
  // The least that the called service wants (`--idle-timeout=...,NAME=D`).
  absl::Duration service_idle_timeout = absl::ZeroDuration();
  // May be null. Lives as long as the call.
  const RequestMetadata* metadata = nullptr;
  // That of the called service: it decides about the context, with those of
  // other services that use it. Null: the service has no say in a context that
  // is there, and one that it creates has the server's. Outlives the registry.
  InstanceContextProvider* provider = nullptr;
  // The call was admitted earlier, and gets its context even if the server is
  // full.
  bool promised = false;
};

// The names of the headers that carry an ID.
struct InstanceHeaderNames {
  std::string text{kDefaultInstanceHeader};
  std::string binary{kDefaultInstanceBinHeader};

  // The names for `--instance-header=NAME`.
  //   InvalidArgument: NAME is not a lower-case metadata key, ends in `-bin`,
  //     or already has another meaning.
  static absl::StatusOr<InstanceHeaderNames> Make(std::string_view name);
};

// Collects the headers of one call, then says which context the call wants.
//
//   InstanceHeaderReader reader(names);
//   for (const auto& [name, value] : metadata) reader.Add(name, value);
//   absl::StatusOr<InstanceRequest> request = reader.Finish(caller.tenant);
//
// Keeps views: names and values passed to Add must live until Finish.
class InstanceHeaderReader {
 public:
  explicit InstanceHeaderReader(const InstanceHeaderNames& names)
      : names_(names) {}

  // Adds a header; other names are ignored. `value` of a `-bin` header is the
  // decoded bytes, as gRPC delivers them.
  void Add(std::string_view name, std::string_view value);

  //   InvalidArgument: a header is malformed or repeated, or both a text and a
  //     binary ID are present; the message names header, rule and value.
  absl::StatusOr<InstanceRequest> Finish(std::string_view tenant) const;

 private:
  struct Seen {
    std::string_view value;
    int count = 0;
    void Take(std::string_view v) { value = v, ++count; }
  };

  absl::Status CheckCounts() const;

  const InstanceHeaderNames& names_;
  Seen text_id_;
  Seen binary_id_;
  Seen idle_timeout_;
  Seen expect_;
};

// Checks the ID of a text header.
//   InvalidArgument: empty, over 256 bytes, or contains a comma (a proxy may
//     have joined two headers with it) or a byte outside 0x21-0x7E.
absl::Status CheckTextHeaderId(std::string_view header, std::string_view id);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_HEADERS_H_
