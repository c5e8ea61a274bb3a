#include "client/cli/json_object.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_join.h"
#include "lease/base/json.h"
#include "lease/base/json_text.h"
#include "lease/base/utf8.h"

namespace leasehold::client::cli {
namespace {

// Escapes U+007F to U+009F, which JSON allows in a string as they are, but
// which control terminals. `json` is UTF-8.
std::string EscapeUpperControls(std::string_view json) {
  std::string escaped;
  for (size_t i = 0; i < json.size(); ++i) {
    // 0xC2 0x80 to 0xC2 0x9F are U+0080 to U+009F.
    const bool upper = json[i] == '\xC2' && json[i + 1] < '\xA0';
    if (upper) ++i;
    if (upper || json[i] == '\x7F') {
      absl::StrAppend(
          &escaped, "\\u",
          absl::Hex(static_cast<unsigned char>(json[i]), absl::kZeroPad4));
    } else {
      escaped += json[i];
    }
  }
  return escaped;
}

}  // namespace

std::string JsonString(std::string_view text) {
  return EscapeUpperControls(WriteJson(MakeUtf8(text)));
}

JsonObject& JsonObject::Json(std::string_view name, std::string_view json) {
  members_ += members_.empty() ? "" : ",";
  members_ += JsonString(name);
  members_ += ":";
  members_ += json;
  return *this;
}

JsonObject& JsonObject::Texts(std::string_view name,
                              const std::vector<std::string>& texts) {
  const auto quoted = [](std::string* json, const std::string& text) {
    json->append(JsonString(text));
  };
  return Json(name, "[" + absl::StrJoin(texts, ",", quoted) + "]");
}

JsonObject& JsonObject::Objects(std::string_view name,
                                const std::vector<JsonObject>& objects) {
  const auto text = [](std::string* json, const JsonObject& object) {
    json->append(object.text());
  };
  return Json(name, "[" + absl::StrJoin(objects, ",", text) + "]");
}

JsonObject& JsonObject::Decimal(std::string_view name, double number) {
  // JSON has no infinity.
  if (!std::isfinite(number)) return Json(name, "null");
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  return Json(name, std::string_view(text.data(), end - text.data()));
}

JsonObject& JsonObject::Time(std::string_view name, absl::Time time) {
  return Text(name, absl::FormatTime("%Y-%m-%dT%H:%M:%E9SZ", time,
                                     absl::UTCTimeZone()));
}

JsonObject& JsonObject::PayloadIfAny(std::string_view name,
                                     const std::optional<std::string>& payload,
                                     Payloads payloads) {
  if (!payload.has_value()) return *this;
  if (payloads == Payloads::kStrings || !IsJson(*payload)) {
    return Text(name, *payload);
  }
  // Control characters in JSON stand between tokens, where they mean nothing.
  std::string line;
  for (const char c : EscapeUpperControls(*payload)) {
    if (static_cast<unsigned char>(c) >= ' ') line += c;
  }
  return Json(name, line);
}

JsonObject& JsonObject::MapIfAny(
    std::string_view name, const std::map<std::string, std::string>& map) {
  if (map.empty()) return *this;
  JsonObject object;
  for (const auto& [key, value] : map) object.Text(key, value);
  return Object(name, object);
}

}  // namespace leasehold::client::cli
