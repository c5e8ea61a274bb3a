#include "client/cli/error_text.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace leasehold::client::cli {
namespace {

// A server that cannot be reached, and why.
struct Unreached {
  std::string address;
  std::string why;
};

// What begins the reason, after `ADDRESS: `.
constexpr char kNoAddress[] = "failed to connect to all addresses";
constexpr char kNoName[] = "DNS resolution failed";
constexpr char kNoTime[] = "no connection within ";

bool IsCodeName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isupper(static_cast<unsigned char>(c)) || c == '_';
  });
}

// gRPC's reason without its own words: `connection refused` of `failed to
// connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to
// connect to remote host: Connection refused`.
std::string Reason(std::string_view text) {
  constexpr std::string_view kLast = "last error: ";
  const size_t last = text.rfind(kLast);
  if (last == std::string_view::npos) return std::string(text);
  text.remove_prefix(last + kLast.size());
  const auto skip_part = [&text](auto&& is_noise) {
    const size_t end = text.find(": ");
    if (end != std::string_view::npos && is_noise(text.substr(0, end))) {
      text.remove_prefix(end + 2);
    }
  };
  skip_part(IsCodeName);
  skip_part([](std::string_view part) {
    return part.starts_with("ipv4:") || part.starts_with("ipv6:") ||
           part.starts_with("unix:");
  });
  skip_part([](std::string_view part) {
    return part == "Failed to connect to remote host";
  });
  std::string reason(text);
  if (!reason.empty()) {
    reason[0] = absl::ascii_tolower(static_cast<unsigned char>(reason[0]));
  }
  return reason;
}

std::optional<Unreached> FindUnreached(const absl::Status& error) {
  if (!absl::IsUnavailable(error)) return std::nullopt;
  const std::string message(error.message());
  for (const char* begin : {kNoAddress, kNoName, kNoTime}) {
    const size_t at = message.find(absl::StrCat(": ", begin));
    if (at == std::string::npos) continue;
    return Unreached{message.substr(0, at), Reason(message.substr(at + 2))};
  }
  return std::nullopt;
}

std::string Text(const Unreached& unreached) {
  return absl::StrCat("cannot reach a Leasehold server at ", unreached.address,
                      " (", unreached.why, ")");
}

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// `text` with `field` called `option`: where it begins the text, or is a word
// that no language has (`idle_timeout`). What stands in quotes is somebody's.
std::string Rename(std::string_view text, const std::string& field,
                   const std::string& option) {
  std::string renamed;
  bool quoted = false;
  for (size_t i = 0; i < text.size();) {
    const bool whole_word = text.substr(i, field.size()) == field &&
                            (i == 0 || !IsNameCharacter(text[i - 1])) &&
                            (i + field.size() == text.size() ||
                             !IsNameCharacter(text[i + field.size()]));
    const bool is_field = absl::StrContains(field, '_') ||
                          (i == 0 && text.starts_with(field + ": "));
    if (!quoted && whole_word && is_field) {
      renamed += option;
      i += field.size();
      continue;
    }
    if (text[i] == '"') quoted = !quoted;
    renamed += text[i++];
  }
  return renamed;
}

// States as the command line writes them: `is RUNNING`.
std::string WithStates(const std::string& text) {
  std::string written = text;
  for (const char* state : {"Pending", "Running", "Suspended", "Completed",
                            "Failed", "Terminated"}) {
    const std::string name = absl::StrCat(" is ", state);
    for (const char* after : {";", ".", ","}) {
      written = absl::StrReplaceAll(
          written,
          {{name + after,
            absl::StrCat(" is ", absl::AsciiStrToUpper(state), after)}});
    }
  }
  return written;
}

// Where the server offers the choices of a request, as in its reuse_policy.cc.
std::string WithChoices(std::string text) {
  return absl::StrReplaceAll(
      text,
      {{". Or start with if_finished: ATTACH (use it) or REPLACE (start a new "
        "one in its place)",
        ". Or use --if-finished=attach to accept it, or --if-finished=replace "
        "to start a new one in its place"},
       {". Or start with if_active: ATTACH (use it) or TERMINATE (end it and "
        "start a new one)",
        ". Or use --if-active=attach to accept it, or --if-active=terminate to "
        "end it and start a new one"}});
}

}  // namespace

std::string InPlainWords(const absl::Status& error) {
  const std::optional<Unreached> unreached = FindUnreached(error);
  return unreached.has_value() ? Text(*unreached)
                               : std::string(error.message());
}

std::string ErrorText(const absl::Status& error, const CLI::App& command) {
  if (const auto unreached = FindUnreached(error); unreached.has_value()) {
    const bool nobody = unreached->why == "connection refused" ||
                        unreached->why == "no such file or directory";
    return absl::StrCat(Text(*unreached),
                        nobody ? "; is leasehold-server running?" : "");
  }
  std::string text = WithStates(WithChoices(std::string(error.message())));
  for (const CLI::Option* option : command.get_options()) {
    if (!option->nonpositional()) {
      if (option->get_name() == "ID") text = Rename(text, "instance_id", "ID");
      continue;
    }
    const std::string name = option->get_name();  // `--idle-timeout`
    if (name == "--help") continue;
    const std::string field = absl::StrReplaceAll(name.substr(2), {{"-", "_"}});
    text = Rename(text, field, name);
    if (field == "id") text = Rename(text, "instance_id", name);
  }
  return text;
}

}  // namespace leasehold::client::cli
