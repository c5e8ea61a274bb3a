#include "client/cli/table.h"

#include <string>
#include <vector>

#include "client/cli/display_width.h"
#include "gtest/gtest.h"

namespace leasehold::client::cli {
namespace {

std::string Xs(size_t count) { return std::string(count, 'x'); }

TEST(DisplayWidth, CountsColumnsOfATerminal) {
  EXPECT_EQ(DisplayWidth(""), 0u);
  EXPECT_EQ(DisplayWidth("room-1"), 6u);
  EXPECT_EQ(DisplayWidth("Gr\u00fc\u00dfe"), 5u);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1u);             // An accent of its own.
  EXPECT_EQ(DisplayWidth("\u65e5\u672c\u8a9e"), 6u);  // Japanese.
  EXPECT_EQ(DisplayWidth("\ud55c"), 2u);
  EXPECT_EQ(DisplayWidth("\U0001F600!"), 3u);         // An emoji.
  EXPECT_EQ(DisplayWidth("\u2705\u2B50\u23F0"), 6u);  // Older emoji.
  EXPECT_EQ(DisplayWidth("\u0E01\u0E34"), 1u);  // Thai, with a vowel above.
  EXPECT_EQ(DisplayWidth("\u05D0\u05BF"), 1u);  // Hebrew, with a point.
}

TEST(DisplayWidth, CutsWhereACharacterEnds) {
  EXPECT_EQ(CutToWidth("room-1", 6), "room-1");
  EXPECT_EQ(CutToWidth("room-1", 5), "room\u2026");
  EXPECT_EQ(CutToWidth("room-1", 1), "\u2026");
  EXPECT_EQ(CutToWidth("\u65e5\u672c\u8a9e", 6), "\u65e5\u672c\u8a9e");
  EXPECT_EQ(CutToWidth("\u65e5\u672c\u8a9e", 5), "\u65e5\u672c\u2026");
  EXPECT_EQ(CutToWidth("\u65e5\u672c\u8a9e", 4), "\u65e5\u2026");
  EXPECT_EQ(CutToWidth("e\u0301e\u0301", 2), "e\u0301e\u0301");
}

TEST(DisplayWidth, CutInTheMiddleKeepsBothEnds) {
  EXPECT_EQ(CutInTheMiddle("room-1", 6), "room-1");
  EXPECT_EQ(CutInTheMiddle("0123456789", 7), "012\u2026789");
  EXPECT_EQ(CutInTheMiddle("0123456789", 8), "0123\u2026789");
  EXPECT_EQ(CutInTheMiddle("0123456789", 1), "\u2026");
  // Wide letters are not halved: it may be one column less.
  EXPECT_EQ(CutInTheMiddle("\u65e5\u672c\u8a9e\u65e5\u672c", 7),
            "\u65e5\u2026\u672c");
  // An accent is never without its letter.
  EXPECT_EQ(CutInTheMiddle("abcdefe\u0301", 4), "ab\u2026e\u0301");
  EXPECT_EQ(CutInTheMiddle("abcde\u0301f", 4), "ab\u2026f");
}

TEST(Table, WideLettersAreCountedAsSuch) {
  EXPECT_EQ(Table({"A", "B"}).Lines({{"\u65e5\u672c", "1"}, {"xxxx", "2"}}),
            "A     B\n\u65e5\u672c  1\nxxxx  2\n");
}

TEST(Table, ALongTextMovesNoOtherLine) {
  const std::string lines =
      Table({"A", "B"}).Lines({{Xs(100), "1"}, {"x", "2"}});
  // It stands whole, for the program that reads it.
  EXPECT_EQ(lines, "A" + std::string(65, ' ') + "B\n" + Xs(100) + "  1\nx" +
                       std::string(65, ' ') + "2\n");
}

constexpr Column::Kind kId = Column::Kind::kId;
constexpr Column::Kind kText = Column::Kind::kText;
constexpr Column::Kind kExtra = Column::Kind::kExtra;
constexpr Column::Kind kState = Column::Kind::kState;

Look Columns(size_t columns) {
  Look look;
  look.columns = columns;
  return look;
}

TEST(Table, OnATerminalEachLineFits) {
  const Table::Heading heading = {
      {"ID", kId}, "NUMBER", {"TEXT", kText}, {"MORE", kExtra}};
  const std::vector<Table::Row> rows = {
      {Xs(300), "1", Xs(300), Xs(300)},
      {"\u65e5\u672c\u8a9e-\U0001F600", "22", "short", "more"}};
  for (const size_t columns : {5, 20, 40, 80, 100, 160}) {
    Table table(heading, Columns(columns));
    const std::string lines = table.Lines(rows);
    EXPECT_TRUE(table.cut());
    size_t begin = 0;
    for (size_t end = lines.find('\n'); end != std::string::npos;
         begin = end + 1, end = lines.find('\n', begin)) {
      EXPECT_LE(DisplayWidth(lines.substr(begin, end - begin)), columns)
          << lines;
    }
  }
}

TEST(Table, TheWidestColumnsAreCutFirstEachInItsWay) {
  EXPECT_EQ(Table({{"ID", kId}, "N", {"TEXT", kText}}, Columns(30))
                .Lines({{"a-0123456789-0123456789-z", "1", "a long text"},
                        {"b", "2", "c"}}),
            "ID              N  TEXT\n"
            "a-01234\u20266789-z  1  a long text\n"
            "b               2  c\n");
}

TEST(Table, ColumnsThatSayLessAreLeftOutFirst) {
  const Table::Heading heading = {
      {"ID", kId}, {"WHAT", kExtra}, "N", {"MORE", kExtra}};
  const std::vector<Table::Row> rows = {{Xs(20), "what", "1", Xs(10)}};
  EXPECT_EQ(Table(heading, Columns(60)).Lines(rows),
            "ID                    WHAT  N  MORE\n" + Xs(20) + "  what  1  " +
                Xs(10) + "\n");
  EXPECT_EQ(Table(heading, Columns(30)).Lines(rows),
            "ID                    WHAT  N\n" + Xs(20) + "  what  1\n");
  EXPECT_EQ(Table(heading, Columns(25)).Lines(rows),
            "ID                    N\n" + Xs(20) + "  1\n");
  Table whole(heading, Columns(60));
  whole.Lines(rows);
  EXPECT_FALSE(whole.cut());
}

TEST(Table, AStateHasItsColorWithoutTakingPlace) {
  Look look = Columns(40);
  look.colors = true;
  EXPECT_EQ(Table({{"S", kState}, "N"}, look)
                .Lines({{"FAILED", "1"}, {"PENDING", "FAILED"}}),
            "S        N\n\x1b[31mFAILED\x1b[0m   1\nPENDING  FAILED\n");
  look.colors = false;
  EXPECT_EQ(Table({{"S", kState}, "N"}, look).Lines({{"FAILED", "1"}}),
            "S       N\nFAILED  1\n");
}

TEST(RelativeTime, IsRoundedDownAndKnowsTheFuture) {
  const absl::Time now = absl::FromUnixSeconds(1728064000);
  const auto ago = [now](absl::Duration since) {
    return RelativeTime(now - since, now);
  };
  EXPECT_EQ(ago(absl::Milliseconds(999)), "now");
  EXPECT_EQ(ago(absl::Milliseconds(-999)), "now");
  EXPECT_EQ(ago(absl::Seconds(59.9)), "59s ago");
  EXPECT_EQ(ago(absl::Seconds(150)), "2m ago");
  EXPECT_EQ(ago(absl::Hours(23.9)), "23h ago");
  EXPECT_EQ(ago(absl::Hours(49)), "2d ago");
  EXPECT_EQ(ago(absl::Hours(-3.5)), "in 3h");
  EXPECT_EQ(ago(absl::Hours(24 * 100)), "2024-06-26");
}

TEST(TimeText, IsWholeUnlessTheLookSaysOtherwise) {
  const absl::Time time = absl::FromUnixSeconds(1728064000);
  Look look;
  EXPECT_EQ(TimeText(time, look), "2024-10-04T17:46:40.000Z");
  look.relative_times = true;
  look.now = time + absl::Minutes(2);
  EXPECT_EQ(TimeText(time, look), "2m ago");
}

}  // namespace
}  // namespace leasehold::client::cli
