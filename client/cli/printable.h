// Printable: text of others, made safe to show.
//
// A name, a payload or a message may contain anything. Shown as it is, it could
// break a line in two or send commands to the terminal.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_PRINTABLE_H_
#define LEASEHOLD_CLIENT_CLI_PRINTABLE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace leasehold::client::cli {

// `text` with control characters and bytes that are not UTF-8 escaped (\n, \t,
// \xNN), so that it stays on one line and cannot control a terminal.
std::string Printable(std::string_view text);

// At most about `most` bytes of `text`, printable; an ellipsis shows a cut.
std::string Brief(std::string_view text, size_t most);

// Of a payload where only its beginning is shown.
inline constexpr size_t kBriefBytes = 60;

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_PRINTABLE_H_
