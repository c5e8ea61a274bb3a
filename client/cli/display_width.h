// DisplayWidth: how many columns of a terminal a text needs.
//
// East Asian characters and emoji need two, combining accents none. Terminals
// differ in the details; this is what most of them do.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_CLI_DISPLAY_WIDTH_H_
#define LEASEHOLD_CLIENT_CLI_DISPLAY_WIDTH_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace leasehold::client::cli {

// REQUIRES: `text` is printable (printable.h), here and below.
size_t DisplayWidth(std::string_view text);

// `text` if it needs at most `width` columns; else its beginning and "…", which
// together do. REQUIRES: `width` is at least 1.
std::string CutToWidth(std::string_view text, size_t width);

// The same, but its end is kept, too: `a-long…-end`.
std::string CutInTheMiddle(std::string_view text, size_t width);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_DISPLAY_WIDTH_H_
