// CheckUtf8: refuses text that is not UTF-8, before a call is made with it.
//
// The Protobuf library would only log a line and send the bytes anyway, and the
// server could only answer that it cannot read them. An ID or a name is
// refused, since a repaired one would name something else. Text for people,
// such as an error message, is repaired instead (MakeUtf8 in
// lease/base/utf8.h).
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_CLIENT_WIRE_UTF8_H_
#define LEASEHOLD_CLIENT_WIRE_UTF8_H_

#include <string_view>

#include "absl/status/status.h"
#include "lease/base/utf8.h"

namespace leasehold::client {

// OK, or INVALID_ARGUMENT that names `what`, such as "the instance ID", and
// shows `bytes`.
absl::Status CheckUtf8(std::string_view what, std::string_view bytes);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_UTF8_H_
