#include "client/cli/values.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/printable.h"
#include "client/wire/channel.h"
#include "lease/base/utf8.h"

namespace leasehold::client::cli {
namespace {

constexpr int kCountMax = 1000000;

}  // namespace

absl::Status WrongValue(const std::string& text, const char* right) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", Printable(text), "\" is ", right));
}

absl::StatusOr<absl::Duration> ReadDuration(const std::string& text) {
  absl::Duration value;
  if (!absl::ParseDuration(text, &value) || value <= absl::ZeroDuration() ||
      value == absl::InfiniteDuration()) {
    return WrongValue(text,
                      "not a positive duration; write a number with a unit, as "
                      "in 500ms, 20s or 1h30m");
  }
  return value;
}

absl::StatusOr<int> ReadCount(const std::string& text) {
  int value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < 1 || value > kCountMax) {
    return WrongValue(text, "not a whole number from 1 to 1000000");
  }
  return value;
}

absl::StatusOr<uint64_t> ReadSequence(const std::string& text) {
  uint64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) {
    return WrongValue(text,
                      "not a sequence; write a whole number, as in 0 or 17");
  }
  return value;
}

absl::StatusOr<std::string> ReadAddress(const std::string& text) {
  absl::Status status = CheckAddress(text);
  if (!status.ok()) return status;
  return text;
}

absl::StatusOr<std::string> ReadText(const std::string& text) {
  if (IsUtf8(text)) return text;
  return absl::InvalidArgumentError("the text is not UTF-8");
}

absl::StatusOr<std::string> ReadName(const std::string& text) {
  if (text.empty())
    return WrongValue(text, "not a name; write at least one character");
  return ReadText(text);
}

absl::StatusOr<std::string> ReadId(const std::string& text) {
  if (text.empty()) {
    return WrongValue(
        text,
        "not an ID; write at least one character, or leave out the "
        "option to let the server make one");
  }
  if (!IsUtf8(text)) {
    return absl::InvalidArgumentError("the ID is not UTF-8");
  }
  return text;
}

absl::StatusOr<OutputFormat> ReadOutputFormat(const std::string& text) {
  if (text == "table") return OutputFormat::kTable;
  if (text == "json") return OutputFormat::kJson;
  return WrongValue(text, "not an output format; write table or json");
}

absl::StatusOr<ColorChoice> ReadColorChoice(const std::string& text) {
  if (text == "auto") return ColorChoice::kAuto;
  if (text == "always") return ColorChoice::kAlways;
  if (text == "never") return ColorChoice::kNever;
  return WrongValue(text,
                    "not a choice of colors; write auto, always or never");
}

absl::StatusOr<Expect> ReadExpect(const std::string& text) {
  if (text == "new") return Expect::kNew;
  if (text == "existing") return Expect::kExisting;
  return WrongValue(text, "not an expectation; write new or existing");
}

absl::StatusOr<InstanceState> ReadInstanceState(const std::string& text) {
  for (const InstanceState state :
       {InstanceState::kOpening, InstanceState::kBusy, InstanceState::kIdle,
        InstanceState::kClosing}) {
    if (absl::EqualsIgnoreCase(text, InstanceStateName(state))) return state;
  }
  return WrongValue(text, "not a state; write opening, busy, idle or closing");
}

CLI::Option* AddId(CLI::App& app, std::string& id) {
  return AddValue(app, "ID", id, ReadId,
                  "instance ID; after -- if it begins with a dash")
      ->type_name("");
}

CLI::Option* AddIdleTimeoutOption(CLI::App& app,
                                  std::optional<absl::Duration>& timeout) {
  return AddValue(
             app, "--idle-timeout", timeout, ReadDuration,
             "how long the instance is kept once idle, if this call creates "
             "it, as in 500ms or 20s (default: the server's)")
      ->type_name("DURATION");
}

}  // namespace leasehold::client::cli
