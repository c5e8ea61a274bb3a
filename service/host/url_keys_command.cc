#include "service/host/url_keys_command.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "service/host/command_exit.h"
#include "service/security/capability_keys.h"

namespace leasehold {
namespace {

// The commands of `url-keys`, and what they are given.
struct UrlKeysCommands {
  std::string data, file;
  CLI::App app{"Replaces the secret keys of check-status URLs.",
               "leasehold-server url-keys"};
  CLI::App* rotate;
  CLI::Option* in_data;
  CLI::Option* in_file;

  UrlKeysCommands() {
    app.require_subcommand(1);
    rotate = app.add_subcommand(
        "rotate",
        "Puts a new key in front, which signs from then on. URLs of the key "
        "before\nit stay good until the next rotation, older ones are void. A "
        "running server\nlearns of it within ten seconds, or at once by "
        "SIGHUP.");
    in_data =
        rotate->add_option("--data", data, "The data directory of the server.")
            ->type_name("DIRECTORY")
            ->envname("LEASEHOLD_DATA");
    in_file =
        rotate
            ->add_option("--url-keys", file,
                         "The file of that setting of the server's, which "
                         "counts if both are given.")
            ->type_name("FILE")
            ->envname("LEASEHOLD_URL_KEYS");
  }
};

}  // namespace

CommandText DescribeUrlKeys() {
  return DescribeCommand(UrlKeysCommands().app, "leasehold-server url-keys");
}

int RunUrlKeysCommand(const std::vector<std::string>& arguments) {
  UrlKeysCommands commands;
  auto& [data, file, app, rotate, in_data, in_file] = commands;
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    // Of `rotate`, if it was named.
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    return FailCommand("url-keys", kExitWrongUsage,
                       absl::StrCat(error.what(), "; --help says more"));
  }
  if (in_file->empty() && in_data->empty()) {
    return FailCommand("url-keys", kExitWrongUsage,
                       "rotate: say where the keys are: --data=DIRECTORY or "
                       "--url-keys=FILE, as the server has it");
  }
  const absl::StatusOr<CapabilityKeys> keys = CapabilityKeys::Rotate(
      in_file->empty() ? CapabilityKeys::FileIn(data) : file);
  if (!keys.ok())
    return FailCommand("url-keys", kExitFailed, keys.status().message());
  std::printf("%s signs\n", keys->signing().id.c_str());
  return 0;
}

}  // namespace leasehold
