#include "client/cli/look.h"

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace leasehold::client::cli {
namespace {

constexpr int64_t kDaysMax = 99;

// The escape sequence of a state's color, or null.
const char* ColorOf(std::string_view state) {
  struct StateColor {
    std::string_view state;
    const char* color;
  };
  static constexpr char kRed[] = "\x1b[31m";
  static constexpr char kGreen[] = "\x1b[32m";
  static constexpr char kYellow[] = "\x1b[33m";
  static constexpr char kCyan[] = "\x1b[36m";
  static constexpr StateColor kColors[] = {
      {"FAILED", kRed},        {"DAMAGED", kRed},     {"silent", kRed},
      {"TERMINATED", kYellow}, {"CANCELED", kYellow}, {"SUSPENDED", kYellow},
      {"CLOSING", kYellow},    {"COMPLETED", kGreen}, {"IDLE", kGreen},
      {"answers", kGreen},     {"RUNNING", kCyan},    {"BUSY", kCyan},
      {"OPENING", kCyan}};
  for (const StateColor& each : kColors) {
    if (each.state == state) return each.color;
  }
  return nullptr;
}

// `12s`, `2m`, `3h`, `5d`, rounded down.
std::string RoughDuration(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 60 * 60) return absl::StrCat(seconds / 60, "m");
  if (seconds < 24 * 60 * 60) return absl::StrCat(seconds / 60 / 60, "h");
  return absl::StrCat(seconds / 60 / 60 / 24, "d");
}

}  // namespace

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

std::string TimeText(absl::Time time, const Look& look) {
  return look.relative_times ? RelativeTime(time, look.now) : TimeText(time);
}

std::string RelativeTime(absl::Time time, absl::Time now) {
  const absl::Duration since = now - time;
  const absl::Duration distance = absl::AbsDuration(since);
  if (distance < absl::Seconds(1)) return "now";
  if (distance >= (kDaysMax + 1) * absl::Hours(24)) {
    return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
  }
  const std::string rough = RoughDuration(distance);
  return since > absl::ZeroDuration() ? rough + " ago" : "in " + rough;
}

std::string Colored(std::string_view text, std::string_view state,
                    const Look& look) {
  const char* const color = look.colors ? ColorOf(state) : nullptr;
  if (color == nullptr) return std::string(text);
  return color + std::string(text) + "\x1b[0m";
}

}  // namespace leasehold::client::cli
