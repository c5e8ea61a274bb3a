// Screen codes: what moves the cursor of a terminal, for screens that are drawn
// over and over.
//
// Thread-safety: constants.
#ifndef LEASEHOLD_CLIENT_CLI_SCREEN_CODES_H_
#define LEASEHOLD_CLIENT_CLI_SCREEN_CODES_H_

namespace leasehold::client::cli {

// The upper left corner. From here on, a line that is too long is cut instead
// of wrapped.
inline constexpr char kHome[] = "\x1b[?7l\x1b[H";
inline constexpr char kWrapAgain[] = "\x1b[?7h";
inline constexpr char kClearLine[] = "\x1b[K";
inline constexpr char kClearBelow[] = "\x1b[J";

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_SCREEN_CODES_H_
