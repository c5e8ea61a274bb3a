#include "service/host/setting.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "lease/base/quote.h"

namespace leasehold {
namespace {

// A duration as Abseil reads it, and days before that.
bool Parse(const std::string& text, absl::Duration& value) {
  const size_t digits = text.find_first_not_of("0123456789");
  uint32_t days = 0;
  if (digits == std::string::npos || text[digits] != 'd' ||
      !absl::SimpleAtoi(text.substr(0, digits), &days)) {
    return absl::ParseDuration(text, &value);
  }
  const std::string rest = text.substr(digits + 1);
  value = absl::ZeroDuration();
  // `7d-1h` is a mistake.
  if (!rest.empty() &&
      (!absl::ascii_isdigit(static_cast<unsigned char>(rest.front())) ||
       !absl::ParseDuration(rest, &value))) {
    return false;
  }
  value += days * absl::Hours(24);
  return true;
}

bool IsDuration(const std::string& text, absl::Duration& value) {
  return Parse(text, value) && value >= absl::ZeroDuration() &&
         value != absl::InfiniteDuration();
}

}  // namespace

absl::Status InvalidSetting(absl::string_view rule, const std::string& value) {
  return absl::InvalidArgumentError(
      absl::StrCat(rule, ": ", QuoteForMessage(value)));
}

absl::Status ReadDuration(const std::string& text, absl::Duration& target) {
  absl::Duration value;
  if (!IsDuration(text, value) || value == absl::ZeroDuration()) {
    return InvalidSetting(
        "must be a duration above zero with its unit, such as 500ms, 20s or "
        "1h30m",
        text);
  }
  target = value;
  return absl::OkStatus();
}

Setting DurationSetting(std::string name, absl::Duration& target,
                        std::string help) {
  std::string fallback = absl::FormatDuration(target);
  return {std::move(name), "DURATION", std::move(fallback), std::move(help),
          [&target](const std::string& text) {
            return ReadDuration(text, target);
          }};
}

Setting DurationOrNoneSetting(std::string name, absl::Duration& target,
                              std::string help) {
  std::string fallback = absl::FormatDuration(target);
  return {std::move(name), "DURATION", std::move(fallback), std::move(help),
          [&target](const std::string& text) {
            absl::Duration value;
            if (!IsDuration(text, value)) {
              return InvalidSetting(
                  "must be a duration with its unit, such as 500ms, 20s or "
                  "1h30m, or 0 for none",
                  text);
            }
            target = value;
            return absl::OkStatus();
          }};
}

Setting PathSetting(std::string name, std::string value, std::string& target,
                    std::string help) {
  return {std::move(name), std::move(value), target, std::move(help),
          [&target](const std::string& text) {
            // More likely a misplaced flag.
            if (absl::StartsWith(text, "-")) {
              return InvalidSetting("must not begin with a dash; write ./-NAME",
                                    text);
            }
            target = text;
            return absl::OkStatus();
          }};
}

Setting SwitchSetting(std::string name, bool& target, std::string help) {
  return {std::move(name), "", target ? "on" : "off", std::move(help),
          [&target](const std::string& text) {
            const std::string word = absl::AsciiStrToLower(text);
            if (word == "true" || word == "on" || word == "1") {
              target = true;
            } else if (word == "false" || word == "off" || word == "0") {
              target = false;
            } else {
              return InvalidSetting("must be on or off", text);
            }
            return absl::OkStatus();
          }};
}

absl::Status ReadRanges(const std::string& text,
                        std::vector<AddressRange>& ranges) {
  ranges.clear();
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  for (const std::string& part : parts) {
    if (text.empty()) break;
    const absl::StatusOr<AddressRange> range = AddressRange::Parse(part);
    if (!range.ok()) return range.status();
    ranges.push_back(*range);
  }
  return absl::OkStatus();
}

absl::Status ReadMode(const std::string& text, unsigned& target) {
  unsigned mode = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || text.size() > 4) mode = 01000;
    mode = mode * 8 + static_cast<unsigned>(c - '0');
    if (mode > 0777) break;
  }
  if (text.empty() || mode > 0777 || (mode & 0200) == 0) {
    return InvalidSetting(
        "must be permissions in octal that let the owner write, such as 0600, "
        "0660 or 0666",
        text);
  }
  target = mode;
  return absl::OkStatus();
}

}  // namespace leasehold
