// IsUtf8: whether bytes are the UTF-8 that the wire contract's text must be.
//
// Asked before a call: the Protobuf library would log a line and send the bytes
// all the same, and the server could only answer that it cannot read them.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_UTF8_H_
#define LEASEHOLD_CLIENT_UTF8_H_

#include <cstddef>
#include <string_view>

namespace leasehold::client {

// Whether `bytes` is well-formed UTF-8 (no overlong form, no surrogate, nothing
// above U+10FFFF).
bool IsUtf8(std::string_view bytes);

// How many bytes the character has that `bytes` begin with; 0: they begin with
// none. REQUIRES: not empty.
size_t Utf8Length(std::string_view bytes);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_UTF8_H_
