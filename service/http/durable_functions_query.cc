#include "service/http/durable_functions_query.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "lease/base/quote.h"
#include "lease/base/utf8.h"
#include "lease/base/view.h"
#include "service/http/durable_functions_status.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"

namespace leasehold {
namespace {

constexpr std::string_view kTimeRule =
    "is a time such as 2026-11-22T00:42:48Z, of the years 1 to 9999";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::optional<absl::Time> ParseTime(std::string text) {
  // Python's strftime writes years before 1000 without zeros.
  const size_t year_end = text.find('-');
  if (year_end == std::string::npos || year_end == 0 ||
      !std::all_of(text.begin(), text.begin() + static_cast<int>(year_end),
                   IsDigit)) {
    return std::nullopt;
  }
  if (year_end < 4) text.insert(0, 4 - year_end, '0');
  // The `+` of an offset, which a form's encoding has made a space.
  constexpr size_t kDateEnd = 10;
  const size_t space = text.rfind(' ');
  if (space != std::string::npos && space > kDateEnd) text[space] = '+';

  for (const char* format :
       {"%E4Y-%m-%d%ET%H:%M:%E*S%Ez", "%E4Y-%m-%d%ET%H:%M:%E*S",
        "%E4Y-%m-%d%ET%H:%M%Ez", "%E4Y-%m-%d%ET%H:%M", "%E4Y-%m-%d %H:%M:%E*S",
        "%E4Y-%m-%d"}) {
    absl::Time time;
    if (absl::ParseTime(format, text, absl::UTCTimeZone(), &time, nullptr)) {
      return time;
    }
  }
  return std::nullopt;
}

bool IsInYears1To9999(absl::Time time) {
  return time >= absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone()) &&
         time < absl::FromCivil(absl::CivilYear(10'000), absl::UTCTimeZone());
}

}  // namespace

void QueryReader::Refuse(std::string_view name, std::string_view value,
                         std::string_view rule) {
  status_.Update(absl::InvalidArgumentError(absl::StrCat(
      View(name), ": ", View(rule), ": ", QuoteForMessage(value))));
}

Payload QueryReader::Text(std::string_view name) {
  const std::vector<std::string_view> values = query_.All(name);
  if (values.empty()) return std::nullopt;
  if (values.size() > 1) Refuse(name, values[1], "is there twice");
  if (!IsUtf8(values[0])) Refuse(name, values[0], "is not UTF-8");
  return std::string(values[0]);
}

size_t QueryReader::Word(std::string_view name,
                         const std::vector<std::string_view>& words,
                         size_t otherwise) {
  const Payload text = Text(name);
  if (!text.has_value()) return otherwise;
  for (size_t i = 0; i < words.size(); ++i) {
    if (absl::EqualsIgnoreCase(*text, View(words[i]))) return i;
  }
  Refuse(
      name, *text,
      "is one of " + absl::StrJoin(words, ", ",
                                   [](std::string* out, std::string_view word) {
                                     *out += word;
                                   }));
  return otherwise;
}

bool QueryReader::Flag(std::string_view name, bool otherwise) {
  return Word(name, {"false", "true"}, otherwise ? 1 : 0) == 1;
}

Payload QueryReader::Letters(std::string_view name, std::string_view letters) {
  Payload text = Text(name);
  if (text.has_value() && (text->empty() || text->find_first_not_of(letters) !=
                                                std::string::npos)) {
    Refuse(name, *text, absl::StrCat("is some of the letters ", View(letters)));
  }
  return text;
}

std::optional<StoredTime> QueryReader::Time(std::string_view name) {
  const Payload text = Text(name);
  if (!text.has_value()) return std::nullopt;
  const std::optional<absl::Time> time = ParseTime(*text);
  if (!time.has_value() || !IsInYears1To9999(*time)) {
    Refuse(name, *text, kTimeRule);
    return std::nullopt;
  }
  return ToStored(*time);
}

std::optional<absl::Duration> QueryReader::Seconds(std::string_view name) {
  const Payload text = Text(name);
  if (!text.has_value()) return std::nullopt;
  double seconds = 0;
  if (!absl::SimpleAtod(*text, &seconds) || !std::isfinite(seconds) ||
      seconds < 0) {
    Refuse(name, *text, "is a number of seconds, zero or more");
    return std::nullopt;
  }
  return absl::Seconds(seconds);
}

std::vector<int32_t> QueryReader::Statuses() {
  constexpr std::string_view kName = "runtimeStatus";
  std::vector<int32_t> statuses;
  for (const std::string_view value : query_.All(kName)) {
    for (const absl::string_view name : absl::StrSplit(View(value), ',')) {
      const auto status = RuntimeStatusNamed({name.data(), name.size()});
      if (!status.has_value()) {
        Refuse(kName, {name.data(), name.size()},
               "has Running, Completed, ContinuedAsNew, Failed, Canceled, "
               "Terminated, Pending or Suspended, separated by commas");
        continue;
      }
      statuses.push_back(static_cast<int32_t>(*status));
    }
  }
  return statuses;
}

size_t QueryReader::Top() {
  constexpr std::string_view kName = "top";
  const Payload text = Text(kName);
  if (!text.has_value()) return kTopDefault;
  int32_t top = 0;
  if (!absl::SimpleAtoi(*text, &top) || top < 1) {
    Refuse(kName, *text, "is a number, at least 1");
    return kTopDefault;
  }
  return std::min(static_cast<size_t>(top), kTopMax);
}

ReusePolicy QueryReader::Policy() {
  constexpr IfActive kActive[] = {IfActive::kFail, IfActive::kAttach,
                                  IfActive::kTerminate};
  constexpr IfFinished kFinished[] = {IfFinished::kFail, IfFinished::kAttach,
                                      IfFinished::kReplace};
  constexpr size_t kFail = 0;
  constexpr size_t kReplace = 2;
  const size_t active =
      Word("ifActive", {"FAIL", "ATTACH", "TERMINATE"}, kFail);
  const size_t finished =
      Word("ifFinished", {"FAIL", "ATTACH", "REPLACE"}, kReplace);
  return PolicyOf(kActive[active], kFinished[finished]);
}

}  // namespace leasehold
