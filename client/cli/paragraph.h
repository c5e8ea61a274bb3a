// Paragraph: details of one thing, for people to read: a line for each,
// `Name           value`.
//
// Thread-safety: one thread.   Lifetime: a value.
#ifndef LEASEHOLD_CLIENT_CLI_PARAGRAPH_H_
#define LEASEHOLD_CLIENT_CLI_PARAGRAPH_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "client/cli/printable.h"

namespace leasehold::client::cli {

// For people to read, in UTC: 2024-10-04T17:46:40.000Z.
inline std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

class Paragraph {
 public:
  void Add(std::string_view name, std::string_view value) {
    absl::StrAppendFormat(&text_, "%-15s%s\n", name, Printable(value));
  }
  void AddIfAny(std::string_view name, const std::string& value) {
    if (!value.empty()) Add(name, value);
  }
  void AddIfAny(std::string_view name,
                const std::optional<std::string>& value) {
    if (value.has_value()) Add(name, *value);
  }
  void AddIfAny(std::string_view name, const std::optional<absl::Time>& time) {
    if (time.has_value()) Add(name, TimeText(*time));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_PARAGRAPH_H_
