// InstanceKey: the name of an instance context, tenant and instance ID.
//
// Whatever door an ID comes through, it is checked and put into its one form
// here, so that two spellings of one name never become two contexts.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_INSTANCE_INSTANCE_KEY_H_
#define LEASEHOLD_SERVICE_INSTANCE_INSTANCE_KEY_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lease/base/instance_id.h"
#include "lease/base/quote.h"  // For whoever names a key in a message.

namespace leasehold {

inline constexpr size_t kInstanceIdBytesMax = 1024;

struct InstanceKey {
  std::string
      tenant;  // Of the caller, who alone knows it (service/rpc/caller.h).
  std::string id = {};

  friend bool operator==(const InstanceKey&, const InstanceKey&) = default;
};

// The key of `id` in `tenant`, the ID in its one form: of an entity ID
// (`@name@key`) the name is lower-cased.
//   InvalidArgument: the ID is empty, longer than 1,024 bytes, not UTF-8, or
//     holds a control character; the message begins with `source` (the header
//     or field that the ID came in) and quotes the value.
absl::StatusOr<InstanceKey> MakeInstanceKey(std::string_view tenant,
                                            std::string_view id,
                                            std::string_view source);

// The same of an ID that keeps these rules, as one that IsTextHeaderId does.
InstanceKey NormalKey(std::string_view tenant, std::string_view id);

// A fresh random ID: a version 4 UUID in its text form, lower case (RFC 4122).
std::string NewInstanceId();

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_INSTANCE_KEY_H_
