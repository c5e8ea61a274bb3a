#include "lease/base/manual.h"

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lease/base/command_text.h"
#include "lease/base/completion.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// `tool`, with a group `room` that has a command `open`.
CommandText Tool() {
  std::string text;
  bool flag = false;
  CLI::App app("Opens rooms.\nAnd says so; see `tool room`.");
  app.fallthrough();
  app.add_option("--output", text, "how it is shown")
      ->type_name("table|json")
      ->default_str("table");
  app.add_option("--ca", text, "who is trusted")->type_name("FILE");
  CLI::App* room = app.add_subcommand("room", "Look after rooms");
  CLI::App* open = room->add_subcommand("open", "Open one. It is empty then.");
  open->add_option("ID", text, "which")->type_name("ID")->required();
  open->add_flag("-f,--force", flag, ".even if it's open -- C:\\");
  return DescribeCommand(app, "tool");
}

TEST(CommandText, IsWhatTheParserHas) {
  const CommandText tool = Tool();
  EXPECT_EQ(tool.Summary(), "Opens rooms");
  EXPECT_TRUE(tool.falls_through);
  ASSERT_EQ(tool.commands.size(), 1u);
  const CommandText& open = tool.commands[0].commands[0];
  EXPECT_EQ(open.name, "tool room open");
  EXPECT_EQ(open.LastName(), "open");
  EXPECT_EQ(open.Summary(), "Open one");
  ASSERT_EQ(open.arguments.size(), 1u);
  EXPECT_TRUE(open.arguments[0].required);
  ASSERT_EQ(open.options.size(), 2u);
  EXPECT_EQ(open.options[0].name, "--help");
  EXPECT_EQ(open.options[1].name, "--force");
  EXPECT_EQ(open.options[1].short_name, "-f");
  EXPECT_EQ(open.options[1].value, "");
  const OptionText& output = tool.options[1];
  EXPECT_EQ(output.fallback, "table");
  EXPECT_THAT(output.Choices(), ElementsAre("table", "json"));
}

TEST(CommandText, ValuesThatAreFormsAreNoChoices) {
  for (const char* form : {"HOST:PORT|unix:PATH", "URL|off", "N", ""}) {
    EXPECT_THAT(OptionText{.value = form}.Choices(), IsEmpty()) << form;
  }
}

TEST(ManualPages, EachCommandHasOne) {
  std::vector<std::string> files;
  for (const ManualPage& page : ManualPages(Tool(), {.section = 1})) {
    files.push_back(page.file);
  }
  EXPECT_THAT(files, ElementsAre("tool.1", "tool-room.1", "tool-room-open.1"));
}

TEST(ManualPages, SayWhatTheProgramSays) {
  const std::vector<ManualPage> pages =
      ManualPages(Tool(), {.section = 1,
                           .version = "1.2.3",
                           .sections = {{"EXIT STATUS", "0: done."}},
                           .see_also = {"hammer(1)"}});
  EXPECT_THAT(pages[0].text,
              AllOf(HasSubstr(".TH \"TOOL\" 1 \"\" \"Leasehold 1.2.3\""),
                    HasSubstr("tool \\- opens rooms\n"),
                    HasSubstr("\\fB\\-\\-output\\fR=table|json    (default: "
                              "table)\nhow it is shown\n"),
                    HasSubstr("see \\fBtool room\\fR."),
                    HasSubstr(".TP\n\\fBroom\\fR\nLook after rooms\n"),
                    HasSubstr(".SH EXIT STATUS\n.PP\n0: done.\n"),
                    HasSubstr("tool\\-room(1), hammer(1)\n")));
  EXPECT_THAT(pages[2].text,
              HasSubstr("\\fBtool room open\\fR [OPTION...] ID\n"));
}

TEST(ManualPages, NoTextIsACommandOfTheirs) {
  const std::string text = ManualPages(Tool(), {.section = 1})[2].text;
  EXPECT_THAT(text, HasSubstr("\n\\&.even if it's open \\-\\- C:\\e\n"));
  EXPECT_THAT(text, Not(HasSubstr("\n.even")));
}

TEST(ManualPages, AreWrittenIntoADirectoryThatIsThere) {
  TemporaryDirectory directory;
  ASSERT_TRUE(WritePages({{"a.1", "text\n"}}, directory.path()).ok());
  std::ostringstream read;
  read << std::ifstream(directory.path() + "/a.1").rdbuf();
  EXPECT_EQ(read.str(), "text\n");
  const absl::Status status =
      WritePages({{"a.1", "text\n"}}, directory.path() + "/none");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/none/a.1"));
}

TEST(Completion, KnowsCommandsOptionsAndValues) {
  for (const char* shell : {"bash", "zsh"}) {
    const auto script = Completion(shell, Tool());
    ASSERT_TRUE(script.ok());
    EXPECT_THAT(*script,
                AllOf(HasSubstr("'tool room') echo 'open' ;;"),
                      HasSubstr("'tool room open') echo '--help --force "
                                "--output= --ca=' ;;"),
                      HasSubstr("'tool room --output') echo 'table json' ;;"),
                      HasSubstr("'tool --ca') echo '@file' ;;")));
  }
  const auto fish = Completion("fish", Tool());
  ASSERT_TRUE(fish.ok());
  EXPECT_THAT(
      *fish,
      AllOf(HasSubstr("-n '__tool_at tool room' -a 'open' -d 'Open one'\n"),
            HasSubstr("-n '__tool_at tool room open' -l force -s f -d "
                      "'.even if it\\'s open -- C:\\\\'\n"),
            HasSubstr("-l output -x -a 'table json'"),
            HasSubstr("-l ca -r -F")));
}

TEST(Completion, OfAnotherShellIsRefused) {
  const auto script = Completion("csh", Tool());
  EXPECT_EQ(script.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(script.status().message()),
              HasSubstr("bash, zsh and fish"));
}

}  // namespace
}  // namespace leasehold
