// Paragraph: details of one thing, for people to read: a line for each,
// `Name           value`.
//
// Thread-safety: one thread.   Lifetime: a value.
#ifndef LEASEHOLD_CLIENT_CLI_PARAGRAPH_H_
#define LEASEHOLD_CLIENT_CLI_PARAGRAPH_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "client/cli/look.h"
#include "client/cli/printable.h"

namespace leasehold::client::cli {

class Paragraph {
 public:
  explicit Paragraph(const Look& look = {}) : look_(look) {}

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
    if (time.has_value()) AddTime(name, *time);
  }
  // The whole time, and on a terminal how long ago that is.
  void AddTime(std::string_view name, absl::Time time) {
    std::string text = TimeText(time);
    if (look_.relative_times) {
      absl::StrAppend(&text, " (", RelativeTime(time, look_.now), ")");
    }
    Add(name, text);
  }
  // In the color of the state.
  void AddState(std::string_view name, std::string_view state) {
    absl::StrAppendFormat(&text_, "%-15s%s\n", name,
                          Colored(state, state, look_));
  }
  const std::string& text() const { return text_; }

 private:
  const Look look_;
  std::string text_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_PARAGRAPH_H_
