// QuoteForMessage: how a caller's bytes stand in our messages.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_LEASE_BASE_QUOTE_H_
#define LEASEHOLD_LEASE_BASE_QUOTE_H_

#include <string>
#include <string_view>

namespace leasehold {

// `value` for a message: in double quotes, with at most 64 bytes between them;
// what is longer ends in "...". Visible UTF-8 (visible.h) stays as it is;
// quotes, backslashes, what is not visible, and broken UTF-8 are escaped.
std::string QuoteForMessage(std::string_view value);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_QUOTE_H_
