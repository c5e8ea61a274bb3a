#include "client/cli/echo_command.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/output.h"
#include "client/cli/values.h"
#include "client/session/shared_session.h"

namespace leasehold::client::cli {
namespace {

struct EchoOptions {
  std::string text;
  std::string id;
  int channels = 1;
  int repeat = 1;
  std::optional<absl::Duration> idle_timeout;
  Expect expect = Expect::kAny;
};

absl::Status RunEcho(const EchoOptions& options, const GlobalOptions& global,
                     Surroundings& surroundings) {
  SharedSessionOptions session_options;
  session_options.instance_id = options.id;
  session_options.idle_timeout = options.idle_timeout;
  session_options.expect = options.expect;
  session_options.call_timeout = global.timeout;
  session_options.credentials = global.credentials;
  session_options.hold = false;  // An echo is one call, not two.
  const auto session = SharedSession::Connect(
      std::vector<std::string>(options.channels, global.address),
      session_options);
  if (!session.ok()) return session.status();

  Output output(global.output, surroundings.out, LookOf(global, surroundings));
  for (int round = 0; round < options.repeat; ++round) {
    for (int channel = 0; channel < options.channels; ++channel) {
      const auto reply = (*session)->Echo(options.text, channel);
      if (!reply.ok()) return reply.status();
      if (!output.Row(*reply)) return output.status();
    }
  }
  return output.status();
}

}  // namespace

Command AddEchoCommand(CLI::App& parser) {
  const auto options = std::make_shared<EchoOptions>();
  CLI::App* app = parser.add_subcommand(
      "echo",
      "Echo a text through one shared instance and show which answered");
  app->add_option("TEXT", options->text,
                  "text to echo; after -- if it begins with a dash")
      ->required()
      ->type_name("");
  AddValue(*app, "--id", options->id, ReadId,
           "instance ID (default: the server makes one, and it is shown)")
      ->type_name("ID");
  AddValue(*app, "--channels", options->channels, ReadCount,
           "number of channels to open, each with its own connection")
      ->type_name("N")
      ->default_str("1");
  AddValue(*app, "--repeat", options->repeat, ReadCount,
           "number of echoes on each channel, in turns")
      ->type_name("N")
      ->default_str("1");
  AddIdleTimeoutOption(*app, options->idle_timeout);
  AddValue(*app, "--expect", options->expect, ReadExpect,
           "fail unless the first call creates the instance (new) or finds it "
           "(existing)")
      ->type_name("new|existing");
  return {app, [options](const GlobalOptions& global, Surroundings& around) {
            return RunEcho(*options, global, around);
          }};
}

}  // namespace leasehold::client::cli
