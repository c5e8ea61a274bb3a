// UTF-8: what text on the wire has to be, and what is made of text that is not.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_BASE_UTF8_H_
#define LEASEHOLD_SERVICE_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leasehold {

// How many bytes the code point at the front of `text` has; 0: it is not UTF-8
// (an overlong form, a surrogate, above U+10FFFF, or cut off).
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

// As `text`, with U+FFFD in place of each byte that is not UTF-8.
std::string MakeUtf8(std::string_view text);

// The front of `text`, at most `bytes_max` bytes of it. No character is cut.
std::string_view Utf8Front(std::string_view text, size_t bytes_max);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_UTF8_H_
