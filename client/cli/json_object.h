// JsonObject: an object of JSON, put together member by member.
//
// What is not there is left out.
//
// Thread-safety: one thread.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_JSON_OBJECT_H_
#define LEASEHOLD_CLIENT_CLI_JSON_OBJECT_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "client/cli/output.h"

namespace leasehold::client::cli {

class JsonObject {
 public:
  // Members with these values.
  JsonObject& Text(std::string_view name, std::string_view text) {
    return Json(name, JsonString(text));
  }
  JsonObject& Flag(std::string_view name, bool flag) {
    return Json(name, flag ? "true" : "false");
  }
  // `json` is written as it is.
  JsonObject& Json(std::string_view name, std::string_view json) {
    members_ += members_.empty() ? "" : ",";
    members_ += JsonString(name);
    members_ += ":";
    members_ += json;
    return *this;
  }

  // The same, unless there is nothing to tell.
  JsonObject& TextIfAny(std::string_view name, const std::string& text) {
    return text.empty() ? *this : Text(name, text);
  }
  JsonObject& TextIfAny(std::string_view name,
                        const std::optional<std::string>& text) {
    return text.has_value() ? Text(name, *text) : *this;
  }
  JsonObject& TimeIfAny(std::string_view name,
                        const std::optional<absl::Time>& time) {
    return time.has_value() ? Json(name, JsonTime(*time)) : *this;
  }
  JsonObject& MapIfAny(std::string_view name,
                       const std::map<std::string, std::string>& map) {
    if (map.empty()) return *this;
    JsonObject object;
    for (const auto& [key, value] : map) object.Text(key, value);
    return Json(name, object.text());
  }

  // Without a line's end.
  std::string text() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_JSON_OBJECT_H_
