#include "client/cli/output.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/utf8.h"

namespace leasehold::client::cli {
namespace {

// U+0000-1F, U+007F-9F; `character` is one in UTF-8. The upper ones steer
// terminals just as well.
bool IsControl(std::string_view character) {
  const auto byte = [character](size_t i) {
    return static_cast<unsigned char>(character[i]);
  };
  return byte(0) < 0x20 || byte(0) == 0x7F ||
         (byte(0) == 0xC2 && byte(1) < 0xA0);
}

// The character that `text` begins with, taken off; empty, and one byte is
// taken off, where there is none.
std::string_view TakeCharacter(std::string_view& text) {
  const size_t length = Utf8Length(text);
  const std::string_view character = text.substr(0, length);
  text.remove_prefix(std::max<size_t>(length, 1));
  return character;
}

std::string JsonRow(const EchoReply& reply) {
  return absl::StrCat("{\"text\":", JsonString(reply.text),
                      ",\"instance_id\":", JsonString(reply.instance_id),
                      ",\"generation\":", reply.generation,
                      ",\"sequence\":", reply.sequence,
                      ",\"channel\":", reply.channel + 1,
                      ",\"created\":", reply.created ? "true" : "false", "}\n");
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const std::string_view rest = text;
    const std::string_view character = TakeCharacter(text);
    if (character == "\n") {
      printable += "\\n";
    } else if (character == "\t") {
      printable += "\\t";
    } else if (character.empty() || IsControl(character)) {
      for (const char c : rest.substr(0, rest.size() - text.size())) {
        printable += absl::StrFormat("\\x%02x", static_cast<unsigned char>(c));
      }
    } else {
      printable += character;
    }
  }
  return printable;
}

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const std::string_view character = TakeCharacter(text);
    if (character.empty()) {
      json += "\\ufffd";  // JSON has no word for a broken byte.
    } else if (character == "\"" || character == "\\") {
      json += '\\';
      json += character;
    } else if (IsControl(character)) {
      json += absl::StrFormat("\\u%04x",
                              static_cast<unsigned char>(character.back()));
    } else {
      json += character;
    }
  }
  return json + "\"";
}

std::string JsonTime(absl::Time time) {
  return JsonString(
      absl::FormatTime(absl::RFC3339_full, time, absl::UTCTimeZone()));
}

Output::Output(OutputFormat format, std::ostream& out)
    : format_(format), out_(out) {}

bool Output::Row(const EchoReply& reply) {
  if (format_ == OutputFormat::kJson) return Write(JsonRow(reply));
  const std::string id = Printable(reply.instance_id);
  std::string rows;
  if (!headed_) {
    headed_ = true;
    id_width_ = std::max<size_t>(id.size(), 8);
    rows = absl::StrFormat("%-7s  %-8s  %-16s  %-7s  %-*s  %s\n", "CHANNEL",
                           "SEQUENCE", "GENERATION", "CREATED",
                           static_cast<int>(id_width_), "INSTANCE", "TEXT");
  }
  rows += absl::StrFormat(
      "%-7d  %-8d  %-16d  %-7s  %-*s  %s\n", reply.channel + 1, reply.sequence,
      reply.generation, reply.created ? "yes" : "no",
      static_cast<int>(id_width_), id, Printable(reply.text));
  return Write(rows);
}

bool Output::Say(std::string_view text) {
  return format_ == OutputFormat::kJson || Write(text);
}

bool Output::SayLine(std::string_view line) {
  return Say(std::string(line) + "\n");
}

bool Output::Write(std::string_view text) {
  if (error_ != 0) return false;
  errno = 0;
  if (out_ << text << std::flush) return true;
  error_ = errno != 0 ? errno : EIO;
  return false;
}

absl::Status Output::status() const {
  if (error_ == 0 || error_ == EPIPE) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("cannot write to standard output: ", std::strerror(error_)));
}

}  // namespace leasehold::client::cli
