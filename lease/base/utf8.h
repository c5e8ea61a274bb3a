// UTF-8, which all text on the wire has to be: how to check it, and how to
// repair text that is not.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_LEASE_BASE_UTF8_H_
#define LEASEHOLD_LEASE_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leasehold {

// The length in bytes of the code point at the front of `text`; 0: it is not
// UTF-8 (an overlong form, a surrogate, above U+10FFFF, or cut off).
// REQUIRES: `text` is not empty.
size_t CodePointBytes(std::string_view text);

// Decodes the code point at the front of `text` and takes it off. Empty if it
// is not UTF-8, as above; then `text` stays as it is. REQUIRES: `text` is not
// empty.
std::optional<uint32_t> TakeCodePoint(std::string_view& text);

// Whether it is a control character: C0, DEL or C1.
bool IsControl(uint32_t code);

// Where the first byte is that is not UTF-8; npos: there is none.
size_t FindNotUtf8(std::string_view text);

// Whether all of `text` is UTF-8.
inline bool IsUtf8(std::string_view text) {
  return FindNotUtf8(text) == std::string_view::npos;
}

// `text` with U+FFFD in place of each byte that is not UTF-8.
std::string MakeUtf8(std::string_view text);

// At most the first `bytes_max` bytes of `text`, without cutting a character in
// two.
std::string_view Utf8Front(std::string_view text, size_t bytes_max);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_UTF8_H_
