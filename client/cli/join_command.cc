#include "client/cli/join_command.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "client/cli/json_object.h"
#include "client/cli/output.h"
#include "client/cli/printable.h"
#include "client/cli/stream_run.h"
#include "client/cli/values.h"
#include "client/session/join_reader.h"
#include "client/wire/channel.h"

namespace leasehold::client::cli {
namespace {

JsonObject JoinEventJson(const JoinEvent& event) {
  JsonObject object;
  if (event.kind == JoinEvent::Kind::kLagged) {
    object.Text("event", "lagged").Number("missed", event.missed);
    return object;
  }
  const bool echo = event.kind == JoinEvent::Kind::kEcho;
  object.Text("event", echo ? "echo" : "joined")
      .Text("instance_id", event.instance_id)
      .Number("generation", event.generation)
      .Number("sequence", event.sequence);
  if (echo) object.Text("text", event.text);
  return object;
}

std::string TextLine(const JoinEvent& event) {
  switch (event.kind) {
    case JoinEvent::Kind::kJoined:
      return absl::StrFormat("Joined %s: generation %d, %d %s so far.\n",
                             Printable(event.instance_id), event.generation,
                             event.sequence,
                             event.sequence == 1 ? "echo" : "echoes");
    case JoinEvent::Kind::kLagged:
      return absl::StrFormat("Missed %d %s.\n", event.missed,
                             event.missed == 1 ? "echo" : "echoes");
    case JoinEvent::Kind::kEcho:
      break;
  }
  return absl::StrFormat("%-8d  %s\n", event.sequence, Printable(event.text));
}

absl::Status RunJoin(JoinOptions options, const GlobalOptions& global,
                     Surroundings& around) {
  StreamRun run(around);
  Output output(global.output, around.out, LookOf(global, around));
  bool joined = false;
  options.on_event = [&](const JoinEvent& event) {
    joined = true;
    run.Heard();
    const bool json = output.format() == OutputFormat::kJson;
    if (!output.Write(json ? JoinEventJson(event).line() : TextLine(event))) {
      run.OutputFailed();
    }
  };
  options.reconnect = true;
  options.on_lost = [&](const absl::Status& why) {
    // If it never got in, this is an error and not an interruption.
    if (joined) {
      run.Lost(why);
    } else {
      run.End(why);
    }
  };
  options.on_end = [&](const absl::Status& status) { run.End(status); };
  absl::Status status;
  {
    JoinReader reader(OpenChannel(global), global.address, std::move(options));
    status = run.Await();
  }
  return status.ok() ? output.status() : status;
}

}  // namespace

Command AddJoinCommand(CLI::App& parser) {
  const auto options = std::make_shared<JoinOptions>();
  CLI::App* app = parser.add_subcommand(
      "join", "Show every echo of an instance, whoever sent it, until Ctrl-C");
  AddId(*app, options->instance_id)->required();
  AddValue(*app, "--after", options->after_sequence, ReadSequence,
           "start after this echo; 0 means with the oldest that the server "
           "has (default: only new echoes)")
      ->type_name("N");
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            return RunJoin(*options, global, around);
          }};
}

}  // namespace leasehold::client::cli
