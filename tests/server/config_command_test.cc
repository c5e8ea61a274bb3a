// `leasehold-server config`: what is in force, and where it comes from.
#include "service/host/config_command.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lease/base/variables.h"
#include "service/host/server_options.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::Pair;

// The value of each setting and where it comes from, for these arguments.
std::map<std::string, std::pair<std::string, std::string>> InForce(
    std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "leasehold-server");
  const auto parsed =
      ParseServerOptions(static_cast<int>(arguments.size()), arguments.data());
  std::map<std::string, std::pair<std::string, std::string>> found;
  if (!parsed.ok()) return found;
  for (const SettingInForce& setting :
       std::get<ServerOptions>(*parsed).in_force) {
    found[setting.name] = {setting.value, setting.from};
  }
  return found;
}

TEST(ConfigCommand, NamesTheFlagTheVariableAndTheLineOfTheFile) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/conf";
  std::ofstream(path) << "# max-contexts = 1\n\nmax-contexts = 7\n"
                         "listen = [\"127.0.0.1:1\", \"[::1]:1\"]\n";
  const std::string config = "--config=" + path;
  setenv("LEASEHOLD_USER_THREADS", "2", /*overwrite=*/1);
  const auto found = InForce({config.c_str(), "--max-deliveries=3"});
  unsetenv("LEASEHOLD_USER_THREADS");
  EXPECT_THAT(found.at("max-deliveries"), Pair("3", "--max-deliveries"));
  EXPECT_THAT(found.at("user-threads"), Pair("2", "LEASEHOLD_USER_THREADS"));
  EXPECT_THAT(found.at("max-contexts"), Pair("7", path + ", line 3"));
  EXPECT_THAT(found.at("listen"),
              Pair("127.0.0.1:1,[::1]:1", path + ", line 4"));
  EXPECT_THAT(found.at("idle-timeout"), Pair("20s", "default"));
}

TEST(ConfigCommand, TheVariableOfEverySettingIsKnownToBothPrograms) {
  const auto found = InForce({});
  EXPECT_GT(found.size(), 50u);
  for (const auto& [name, value] : found) {
    const std::string variable = absl::StrCat(
        "LEASEHOLD_",
        absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"-", "_"}})));
    EXPECT_TRUE(IsKnownVariable(variable)) << variable;
  }
}

TEST(ConfigCommand, PrintsALineASettingWithoutPasswords) {
  ServerOptions options;
  options.in_force = {{"data", "leasehold-data", "default"},
                      {"policy", "", "default"},
                      {"url", "https://me:secret@there/x", "--url"}};
  const std::string text = ConfigText(options);
  EXPECT_THAT(text, MatchesRegex("SETTING  VALUE +FROM\n"
                                 "data     leasehold-data +default\n"
                                 "policy   - +default\n"
                                 "url      https://me:\\*\\*\\*@there/x +"
                                 "--url\n"));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace leasehold
