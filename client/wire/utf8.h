// UTF-8, which all text on the wire has to be.
//
// Text is checked before a call: the Protobuf library would only log a line and
// send the bytes anyway, and the server could only answer that it cannot read
// them. An ID or a name that is not UTF-8 is refused, since a repaired one
// would name something else (IsUtf8, CheckUtf8). Text for people, such as an
// error message, is repaired (ToUtf8).
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_WIRE_UTF8_H_
#define LEASEHOLD_CLIENT_WIRE_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace leasehold::client {

// Whether `bytes` is well-formed UTF-8 (no overlong form, no surrogate, nothing
// above U+10FFFF).
bool IsUtf8(std::string_view bytes);

// OK, or INVALID_ARGUMENT that names `what`, such as "the instance ID", and
// shows `bytes`.
absl::Status CheckUtf8(std::string_view what, std::string_view bytes);

// `bytes` with U+FFFD in place of each byte that is not UTF-8.
std::string ToUtf8(std::string_view bytes);

// At most the first `most` bytes, without cutting a character in two.
std::string_view Utf8Prefix(std::string_view text, size_t most);

// The length in bytes of the first character of `bytes`; 0 if they do not start
// with one. REQUIRES: not empty.
size_t Utf8Length(std::string_view bytes);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_UTF8_H_
