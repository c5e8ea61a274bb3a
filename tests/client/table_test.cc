#include "client/cli/table.h"

#include <string>

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
  EXPECT_EQ(DisplayWidth("\U0001F600!"), 3u);  // An emoji.
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

TEST(Table, OnATerminalALongTextIsCut) {
  const std::string lines =
      Table({"A", "B"}, Cells::kCut).Lines({{Xs(100), Xs(100)}, {"x", "2"}});
  EXPECT_EQ(lines, "A" + std::string(65, ' ') + "B\n" + Xs(63) + "\u2026  " +
                       Xs(100) + "\nx" + std::string(65, ' ') + "2\n");
}

TEST(Table, TheFirstColumnLeavesRoomForTheOthers) {
  constexpr size_t kLine = 40;
  EXPECT_EQ(Table({"A", "BBBB"}, kLine).Lines({{Xs(300), "1"}, {"x", "2"}}),
            "A" + std::string(35, ' ') + "BBBB\n" + Xs(33) + "\u2026  1\nx" +
                std::string(35, ' ') + "2\n");
  // It keeps something where there is none.
  EXPECT_EQ(
      Table({"A", "B"}, kLine).Lines({{Xs(300), Xs(50)}}),
      "A" + std::string(13, ' ') + "B\n" + Xs(11) + "\u2026  " + Xs(50) + "\n");
}

}  // namespace
}  // namespace leasehold::client::cli
