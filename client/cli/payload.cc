#include "client/cli/payload.h"

#include <fstream>
#include <istream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/usage.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
namespace {

std::string ReadAll(std::istream& stream) {
  std::string all{std::istreambuf_iterator<char>(stream), {}};
  absl::StripAsciiWhitespace(&all);
  return all;
}

std::string ReadFile(const std::string& option, const std::string& path) {
  std::ifstream file(path);
  // A directory opens, and fails to be read.
  if (!file || (file.peek(), file.bad())) {
    throw UsageError(absl::StrCat(option, ": cannot read ", path));
  }
  return ReadAll(file);
}

// What is wrong with the text, and where; empty: it is JSON.
std::string FindMistake(const std::string& text) {
  try {
    [[maybe_unused]] const auto json = nlohmann::json::parse(text);
    return "";
  } catch (const nlohmann::json::exception& error) {
    // As in "[json.exception.parse_error.101] parse error at line 1, column 2:
    // syntax error …".
    const std::string what = error.what();
    const std::string mistake = what.substr(what.find("] ") + 2);
    const std::string_view prefix = "parse error at ";
    return mistake.starts_with(prefix) ? mistake.substr(prefix.size())
                                       : mistake;
  }
}

}  // namespace

void AddPayload(CLI::App& app, PayloadOption& option,
                const std::string& description) {
  AddValue(app, option.name, option.text, ReadText,
           description + "; @FILE for what a file holds, - for standard input")
      ->type_name("JSON");
}

std::optional<std::string> ReadPayload(const PayloadOption& option,
                                       Surroundings& surroundings) {
  if (!option.text.has_value()) return std::nullopt;
  std::string text = *option.text;
  std::string source = option.name;
  if (text == "-") {
    text = ReadAll(surroundings.in);
    source += ": standard input";
  } else if (text.starts_with('@')) {
    const std::string path = text.substr(1);
    text = ReadFile(option.name, path);
    source += ": " + path;
  }
  const std::string mistake = FindMistake(text);
  if (mistake.empty()) return text;
  // A shell takes the quotes that were meant for JSON.
  const bool word =
      text == *option.text && !text.starts_with('{') && !text.starts_with('[');
  throw UsageError(
      absl::StrCat(source, " is no JSON: ", mistake,
                   word ? absl::StrCat("; a text has quotes of its own, as in ",
                                       option.name, "='\"Ada\"'")
                        : ""));
}

}  // namespace leasehold::client::cli
