// The header contract: how a call names its instance, and what it may ask.
//
//   instance-id: room-1            the context; absent: a fresh random UUID
//   instance-id-bin: <bytes>       the same, for IDs outside printable ASCII
//   instance-idle-timeout: 90s     the idle timeout, if this call creates it
//   instance-expect: new|existing  fail rather than attach, or than create
//
// The name `instance-id` is a setting; the others are fixed. gRPC's types stay
// outside: headers come as pairs of strings.
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
#include "service/instance/instance_key.h"

namespace leasehold {

inline constexpr size_t kTextHeaderIdBytesMax = 256;
inline constexpr std::string_view kDefaultInstanceHeader = "instance-id";
inline constexpr std::string_view kIdleTimeoutHeader = "instance-idle-timeout";
inline constexpr std::string_view kExpectHeader = "instance-expect";
// Response headers.
inline constexpr std::string_view kGenerationHeader = "instance-generation";
inline constexpr std::string_view kCreatedHeader = "instance-created";
inline constexpr std::string_view kIdleTimeoutMsHeader =
    "instance-idle-timeout-ms";

// What a call says of the context that it wants.
enum class Expect {
  kAny,       // Attach to the one that is there, or create it.
  kNew,       // Create it; AlreadyExists if it is there.
  kExisting,  // Attach to it; NotFound if it is not there.
};

// What else a call brought along, for initializers. Copied only if the call
// makes a context.
class RequestMetadata {
 public:
  virtual ~RequestMetadata() = default;
  virtual std::vector<std::pair<std::string, std::string>> Copy() const = 0;
};

struct InstanceRequest {
  InstanceKey key;
  bool id_generated = false;  // The caller named none; `key.id` is fresh.
  std::optional<absl::Duration> idle_timeout =
      std::nullopt;  // As asked for; not clamped yet.
  Expect expect = Expect::kAny;
  // What the service that is called wants at least
  // (`--idle-timeout=...,NAME=D`).
  absl::Duration service_idle_timeout = absl::ZeroDuration();
  // Null: there is none. Lives as long as the call.
  const RequestMetadata* metadata = nullptr;
  // It was let in long ago, and gets its context even if the server is full.
  bool promised = false;
};

// The names of the headers that bear an ID.
struct InstanceHeaderNames {
  std::string text{kDefaultInstanceHeader};
  std::string binary{"instance-id-bin"};

  // The names for `--instance-header=NAME`.
  //   InvalidArgument: NAME is not a lower-case metadata key, ends in `-bin`,
  //     or means something else already.
  static absl::StatusOr<InstanceHeaderNames> Make(std::string_view name);
};

// Collects the headers of one call, then says which context it wants.
//
//   InstanceHeaderReader reader(names);
//   for (const auto& [name, value] : metadata) reader.Add(name, value);
//   absl::StatusOr<InstanceRequest> request = reader.Finish(kDefaultTenant);
//
// Keeps views: what was added must live until Finish.
class InstanceHeaderReader {
 public:
  explicit InstanceHeaderReader(const InstanceHeaderNames& names)
      : names_(names) {}

  // Takes a header; names that mean nothing here are passed over. `value` of a
  // `-bin` header is the decoded bytes, as gRPC gives them.
  void Add(std::string_view name, std::string_view value);

  //   InvalidArgument: a header is ill-formed, stands twice, or text and binary
  //     ID stand side by side; the message names header, rule and value.
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

// The ID of a text header.
//   InvalidArgument: empty, over 256 bytes, or a byte outside 0x21-0x7E or a
//     comma (a proxy may have joined two headers with it).
absl::Status CheckTextHeaderId(std::string_view header, std::string_view id);

// `90s`, `500ms`, `1h30m`: a finite duration, zero or more. (absl's syntax.)
//   InvalidArgument otherwise; the message begins with `source`.
absl::StatusOr<absl::Duration> ParseTimeout(std::string_view source,
                                            std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_HEADERS_H_
