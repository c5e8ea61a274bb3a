#include "client/cli/output.h"

#include <cerrno>
#include <cstring>
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/json_object.h"
#include "client/cli/printable.h"

namespace leasehold::client::cli {
namespace {

JsonObject EchoJson(const EchoReply& reply) {
  JsonObject object;
  object.Text("text", reply.text)
      .Text("instance_id", reply.instance_id)
      .Number("generation", reply.generation)
      .Number("sequence", reply.sequence)
      .Number("channel", reply.channel + 1)
      .Flag("created", reply.created);
  return object;
}

}  // namespace

Output::Output(OutputFormat format, std::ostream& out, const Look& look)
    : format_(format),
      out_(out),
      // As wide as the widest value, since rows are written one by one.
      echoes_({"CHANNEL",
               "SEQUENCE",
               "GENERATION      ",
               "CREATED",
               {"INSTANCE", Column::Kind::kId},
               {"TEXT", Column::Kind::kText}},
              look) {}

bool Output::Row(const EchoReply& reply) {
  if (format_ == OutputFormat::kJson) return Write(EchoJson(reply).line());
  return Write(echoes_.Lines(
      {{absl::StrCat(reply.channel + 1), absl::StrCat(reply.sequence),
        absl::StrCat(reply.generation), reply.created ? "yes" : "no",
        Printable(reply.instance_id), Printable(reply.text)}}));
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
