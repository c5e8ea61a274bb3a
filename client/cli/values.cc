#include "client/cli/values.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/channel.h"

namespace leasehold::client::cli {
namespace {

constexpr int kCountMax = 1000000;

absl::Status Wrong(const std::string& text, const char* right) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", Printable(text), "\" is ", right));
}

}  // namespace

absl::StatusOr<absl::Duration> ReadDuration(const std::string& text) {
  absl::Duration value;
  if (!absl::ParseDuration(text, &value) || value <= absl::ZeroDuration() ||
      value == absl::InfiniteDuration()) {
    return Wrong(text,
                 "no positive duration; write a number with a unit, as in "
                 "500ms, 20s or 1h30m");
  }
  return value;
}

absl::StatusOr<int> ReadCount(const std::string& text) {
  int value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < 1 || value > kCountMax) {
    return Wrong(text, "no whole number from 1 to 1000000");
  }
  return value;
}

absl::StatusOr<std::string> ReadAddress(const std::string& text) {
  absl::Status status = CheckAddress(text);
  if (!status.ok()) return status;
  return text;
}

absl::StatusOr<std::string> ReadId(const std::string& text) {
  if (text.empty()) {
    return Wrong(text,
                 "no ID; write at least one character, or leave the option "
                 "out to have the server make one");
  }
  return text;
}

absl::StatusOr<OutputFormat> ReadOutputFormat(const std::string& text) {
  if (text == "table") return OutputFormat::kTable;
  if (text == "json") return OutputFormat::kJson;
  return Wrong(text, "no output format; write table or json");
}

absl::StatusOr<Expect> ReadExpect(const std::string& text) {
  if (text == "new") return Expect::kNew;
  if (text == "existing") return Expect::kExisting;
  return Wrong(text, "no expectation; write new or existing");
}

}  // namespace leasehold::client::cli
