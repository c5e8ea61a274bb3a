#include "lease/base/json.h"

#include <algorithm>
#include <cstddef>

#include "lease/base/json_text.h"

namespace leasehold {
namespace {

// The index after the string whose opening quote is at `quote`.
size_t BehindString(std::string_view text, size_t quote) {
  size_t i = text.find_first_of("\"\\", quote + 1);
  while (i != std::string_view::npos && text[i] == '\\') {
    i = text.find_first_of("\"\\", i + 2);  // After the escaped character.
  }
  return i == std::string_view::npos ? text.size() : i + 1;
}

// Counts brackets only. That is enough: in text that is not valid JSON, the
// parser, which does not recurse, builds nothing deeper than its brackets.
bool IsTooDeep(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size();) {
    switch (text[i]) {
      case '"':
        i = BehindString(text, i);
        continue;
      case '[':
      case '{':
        if (++depth > kJsonDepthMax) return true;
        break;
      case ']':
      case '}':
        --depth;
        break;
      default:
        break;
    }
    ++i;
  }
  return false;
}

bool IsDeeperThan(int depth, const nlohmann::json& value) {
  if (!value.is_structured()) return false;
  return depth == 0 || std::any_of(value.begin(), value.end(),
                                   [depth](const nlohmann::json& each) {
                                     return IsDeeperThan(depth - 1, each);
                                   });
}

}  // namespace

JsonDepthError::JsonDepthError()
    : std::runtime_error("the JSON is nested deeper than " +
                         std::to_string(kJsonDepthMax) +
                         " arrays and objects") {}

nlohmann::json ParseJson(std::string_view text) {
  if (IsTooDeep(text)) throw JsonDepthError();
  return nlohmann::json::parse(text);
}

std::string WriteJson(const nlohmann::json& value) {
  if (IsDeeperThan(kJsonDepthMax, value)) throw JsonDepthError();
  constexpr int kOneLine = -1;
  return value.dump(kOneLine, ' ', /*ensure_ascii=*/false,
                    nlohmann::json::error_handler_t::replace);
}

bool IsJson(std::string_view text) {
  // nlohmann's parser skips a byte order mark, and takes a NUL for the end of
  // the text; inside of other JSON they would be errors.
  return !text.starts_with("\xEF\xBB\xBF") &&
         text.find('\0') == std::string_view::npos && !IsTooDeep(text) &&
         nlohmann::json::accept(text);
}

std::string JsonString(std::string_view text) {
  return WriteJson(nlohmann::json(std::string(text)));
}

}  // namespace leasehold
