#include "client/cli/payload.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/bounded_input.h"
#include "client/cli/printable.h"
#include "client/cli/usage.h"
#include "client/cli/values.h"
#include "lease/base/json.h"

namespace leasehold::client::cli {
namespace {

// The largest --max-payload that a server can have: a larger input need not be
// read to its end.
constexpr size_t kPayloadBytesMax = size_t{48} << 20;

// What is wrong with the text, and where; empty if it is valid JSON.
std::string FindMistake(const std::string& text) {
  try {
    [[maybe_unused]] const auto json = ParseJson(text);
    return "";
  } catch (const JsonDepthError& error) {
    return absl::StrCat(": ", error.what());
  } catch (const nlohmann::json::exception& error) {
    // As in "[json.exception.parse_error.101] parse error at line 1, column 2:
    // syntax error …".
    const std::string what = error.what();
    const std::string mistake = what.substr(what.find("] ") + 2);
    const std::string_view prefix = "parse error at ";
    return absl::StrCat(
        " is not valid JSON: ",
        Printable(mistake.starts_with(prefix) ? mistake.substr(prefix.size())
                                              : mistake));
  }
}

}  // namespace

void AddPayload(CLI::App& app, PayloadOption& option,
                const std::string& description) {
  AddValue(app, option.name, option.text, ReadText,
           description + "; @FILE reads a file, - standard input")
      ->type_name("JSON");
}

std::optional<std::string> ReadPayload(const PayloadOption& option,
                                       Surroundings& surroundings) {
  if (!option.text.has_value()) return std::nullopt;
  std::string text = *option.text;
  std::string source = option.name;
  if (text == "-") {
    source += ": standard input";
    text = ReadBounded(source, surroundings.in, kPayloadBytesMax);
  } else if (text.starts_with('@')) {
    const std::string path = text.substr(1);
    text = ReadBoundedFile(option.name, path, kPayloadBytesMax);
    source += ": " + Printable(path);
  }
  if (text != *option.text) absl::StripAsciiWhitespace(&text);
  const std::string mistake = FindMistake(text);
  if (mistake.empty()) return text;
  // A shell removes quotes that were meant for JSON.
  const bool word =
      text == *option.text && !text.starts_with('{') && !text.starts_with('[');
  throw UsageError(absl::StrCat(
      source, mistake,
      word ? absl::StrCat("; a JSON string needs quotes of its own, as in ",
                          option.name, "='\"Ada\"'")
           : ""));
}

}  // namespace leasehold::client::cli
