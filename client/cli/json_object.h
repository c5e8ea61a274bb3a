// JsonObject: a JSON object, put together member by member, in that order.
//
// Thread-safety: one thread.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_JSON_OBJECT_H_
#define LEASEHOLD_CLIENT_CLI_JSON_OBJECT_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace leasehold::client::cli {

// `text` as a JSON string, with its quotes. A byte that is not UTF-8 becomes
// U+FFFD, and control characters are escaped, also those that JSON would allow.
std::string JsonString(std::string_view text);

// How JSON has payloads, which are JSON themselves.
enum class Payloads {
  // As they are: as a value in the object; one that is not JSON, as a string.
  kValues,
  // As strings, each as it came.
  kStrings,
};

class JsonObject {
 public:
  // Adds a member with this value.
  JsonObject& Text(std::string_view name, std::string_view text) {
    return Json(name, JsonString(text));
  }
  JsonObject& Texts(std::string_view name,
                    const std::vector<std::string>& texts);
  template <typename Integer>
  JsonObject& Number(std::string_view name, Integer number) {
    static_assert(std::is_integral_v<Integer> &&
                  !std::is_same_v<Integer, bool>);
    return Json(name, absl::StrCat(number));
  }
  // With as many digits as it needs, up to 17.
  JsonObject& Decimal(std::string_view name, double number);
  JsonObject& DecimalOrNull(std::string_view name,
                            const std::optional<double>& number) {
    return number.has_value() ? Decimal(name, *number) : Json(name, "null");
  }
  JsonObject& Flag(std::string_view name, bool flag) {
    return Json(name, flag ? "true" : "false");
  }
  // RFC 3339 in UTC, always with nine digits:
  // "2024-10-04T17:46:40.000000000Z".
  JsonObject& Time(std::string_view name, absl::Time time);
  // In whole milliseconds.
  JsonObject& Milliseconds(std::string_view name, absl::Duration duration) {
    return Number(name, absl::ToInt64Milliseconds(duration));
  }
  JsonObject& Object(std::string_view name, const JsonObject& object) {
    return Json(name, object.text());
  }

  JsonObject& Objects(std::string_view name,
                      const std::vector<JsonObject>& objects);

  // Adds a member that is null if there is no value.
  JsonObject& TimeOrNull(std::string_view name,
                         const std::optional<absl::Time>& time) {
    return time.has_value() ? Time(name, *time) : Json(name, "null");
  }
  JsonObject& MillisecondsOrNull(
      std::string_view name, const std::optional<absl::Duration>& duration) {
    return duration.has_value() ? Milliseconds(name, *duration)
                                : Json(name, "null");
  }

  // Adds a member only if there is a value.
  JsonObject& TextIfAny(std::string_view name, const std::string& text) {
    return text.empty() ? *this : Text(name, text);
  }
  JsonObject& TextIfAny(std::string_view name,
                        const std::optional<std::string>& text) {
    return text.has_value() ? Text(name, *text) : *this;
  }
  // A payload, which is JSON unless somebody sent something else.
  JsonObject& PayloadIfAny(std::string_view name,
                           const std::optional<std::string>& payload,
                           Payloads payloads);
  JsonObject& TimeIfAny(std::string_view name,
                        const std::optional<absl::Time>& time) {
    return time.has_value() ? Time(name, *time) : *this;
  }
  JsonObject& MapIfAny(std::string_view name,
                       const std::map<std::string, std::string>& map);

  // The object, on one line; and with that line's end.
  std::string text() const { return "{" + members_ + "}"; }
  std::string line() const { return text() + "\n"; }

 private:
  // `json` is written as it is.
  JsonObject& Json(std::string_view name, std::string_view json);

  std::string members_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_JSON_OBJECT_H_
