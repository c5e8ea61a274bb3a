#include "client/cli/join_command.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/channel.h"
#include "client/cli/stream_run.h"
#include "client/cli/values.h"
#include "client/join_reader.h"

namespace leasehold::client::cli {
namespace {

std::string JsonLine(const JoinEvent& event) {
  if (event.kind == JoinEvent::Kind::kLagged) {
    return absl::StrCat("{\"event\":\"lagged\",\"missed\":", event.missed,
                        "}\n");
  }
  const bool echo = event.kind == JoinEvent::Kind::kEcho;
  return absl::StrCat(
      "{\"event\":", echo ? "\"echo\"" : "\"joined\"",
      ",\"instance_id\":", JsonString(event.instance_id),
      ",\"generation\":", event.generation, ",\"sequence\":", event.sequence,
      echo ? absl::StrCat(",\"text\":", JsonString(event.text)) : "", "}\n");
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
  Output output(global.output, around.out);
  options.on_event = [&](const JoinEvent& event) {
    const bool json = output.format() == OutputFormat::kJson;
    if (!output.Write(json ? JsonLine(event) : TextLine(event))) {
      run.OutputFailed();
    }
  };
  options.on_end = [&](const absl::Status& status) { run.End(status); };
  absl::Status status;
  {
    JoinReader reader(OpenChannel(global.address), global.address,
                      std::move(options));
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
           "begin after this echo; 0: with the oldest that the server has; "
           "without it only what is yet to come")
      ->type_name("N");
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            return RunJoin(*options, global, around);
          }};
}

}  // namespace leasehold::client::cli
