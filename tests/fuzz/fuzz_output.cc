// Fuzzes what the command line shows of strangers' text: nothing may steer a
// terminal or break out of a JSON string.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "client/cli/json_object.h"
#include "client/cli/printable.h"
#include "lease/base/utf8.h"
#include "lease/base/visible.h"
#include "tests/fuzz/property.h"

namespace {

bool IsAllVisible(std::string_view text) {
  while (!text.empty()) {
    const std::optional<uint32_t> code = leasehold::TakeCodePoint(text);
    if (!code.has_value() || !leasehold::IsVisible(*code)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using leasehold::IsCleanUtf8;
  using leasehold::Property;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string shown = leasehold::client::cli::Printable(text);
  Property(IsCleanUtf8(shown), "what is shown is text without controls");
  Property(IsAllVisible(shown), "what is shown can be seen");
  if (IsCleanUtf8(text)) {
    Property(leasehold::IsUtf8(text), "clean text is UTF-8");
    if (IsAllVisible(text) && text.find('\\') == std::string_view::npos) {
      Property(shown == text, "clean text is shown as it is");
    }
  }

  const std::string json = leasehold::client::cli::JsonString(text);
  Property(IsCleanUtf8(json), "JSON is text without controls");
  Property(json.size() >= 2 && json.front() == '"' && json.back() == '"',
           "a JSON string is quoted");
  for (size_t i = 1; i + 1 < json.size(); ++i) {
    Property(json[i] != '"', "a quote inside is escaped");
    if (json[i] != '\\') continue;
    ++i;
    Property(i + 1 < json.size(), "the last quote is none that is escaped");
    Property(
        std::string_view("\"\\/bfnrtu").find(json[i]) != std::string_view::npos,
        "an escape is one that JSON has");
  }
  return 0;
}
