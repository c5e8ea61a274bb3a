#include "client/cli/output.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace leasehold::client::cli {
namespace {

bool IsControl(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
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
  for (const char c : text) {
    if (c == '\n') {
      printable += "\\n";
    } else if (c == '\t') {
      printable += "\\t";
    } else if (IsControl(c)) {
      printable += absl::StrFormat("\\x%02x", static_cast<unsigned char>(c));
    } else {
      printable += c;
    }
  }
  return printable;
}

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (IsControl(c)) {
      json += absl::StrFormat("\\u%04x", static_cast<unsigned char>(c));
    } else {
      json += c;
    }
  }
  return json + "\"";
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
