#include "service/host/line_writer.h"

#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/pipe.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The number in "(N lines dropped: the reader is too slow)".
std::optional<size_t> Dropped(const std::string& line) {
  const std::vector<std::string> parts = absl::StrSplit(line, ' ');
  size_t count = 0;
  if (parts.size() < 3 || parts[1] != "lines" || parts[2] != "dropped:" ||
      parts[0].empty() || parts[0][0] != '(' ||
      !absl::SimpleAtoi(parts[0].substr(1), &count)) {
    return std::nullopt;
  }
  return count;
}

TEST(LineWriter, LinesArriveInOrderAndTheDestructorWritesWhatIsQueued) {
  Pipe pipe;
  {
    LineWriter writer(pipe.writer());
    for (const char* line : {"one", "", "three"}) writer.Write(line);
  }
  pipe.CloseWriter();
  EXPECT_THAT(pipe.ReadAll(), ElementsAre("one", "", "three"));
}

TEST(LineWriter, LineIsThereWithoutADestructor) {
  Pipe pipe;
  LineWriter writer(pipe.writer());
  writer.Write("now");
  EXPECT_EQ(pipe.ReadLine(), "now");
}

TEST(LineWriter, WriterOfNoLinesEnds) {
  Pipe pipe;
  { LineWriter writer(pipe.writer()); }
  pipe.CloseWriter();
  EXPECT_THAT(pipe.ReadAll(), IsEmpty());
}

TEST(LineWriter, LongLineArrivesWhole) {
  Pipe pipe;
  const std::string line(1 << 20, 'x');
  LineWriter writer(pipe.writer());
  writer.Write(line);
  EXPECT_EQ(pipe.ReadLine(), line);
}

// Four threads write; each line must arrive whole, and each thread's lines in
// its own order.
TEST(LineWriter, LinesOfSeveralThreadsAreNotTorn) {
  constexpr int kThreads = 4;
  constexpr int kLines = 2000;
  Pipe pipe;
  std::thread reader([&pipe] {
    std::vector<int> next(kThreads, 0);
    for (int i = 0; i < kThreads * kLines; ++i) {
      const std::optional<std::string> line = pipe.ReadLine();
      ASSERT_TRUE(line.has_value());
      const std::vector<std::string> parts = absl::StrSplit(*line, ' ');
      int thread = -1;
      ASSERT_TRUE(absl::SimpleAtoi(parts[0], &thread)) << *line;
      ASSERT_EQ(*line, absl::StrCat(thread, " ", next.at(thread)++));
    }
  });
  {
    LineWriter writer(pipe.writer());
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&writer, t] {
        for (int i = 0; i < kLines; ++i) writer.Write(absl::StrCat(t, " ", i));
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  reader.join();
}

// Twice as much as the queue holds is written while nobody reads: that this
// ends is the proof that Write does not block. Then all is read: what came and
// what is told as dropped must add up, with no line out of its order.
TEST(LineWriter, ReaderThatStopsNeverBlocksWriteAndLearnsWhatWasDropped) {
  constexpr size_t kLineBytes = 1 << 10;
  constexpr size_t kLines = 2 * LineWriter::kQueuedBytesMax / kLineBytes;
  Pipe pipe;
  LineWriter writer(pipe.writer());
  for (size_t i = 0; i < kLines; ++i) {
    std::string line = absl::StrCat(i, " ");
    line.resize(kLineBytes, '.');
    writer.Write(line);
  }
  size_t dropped = 0;
  size_t seen = 0;
  while (seen + dropped < kLines) {
    const std::string line = pipe.ReadLine().value();
    if (const std::optional<size_t> more = Dropped(line)) {
      dropped += *more;
    } else {
      const std::vector<std::string> parts = absl::StrSplit(line, ' ');
      ASSERT_EQ(parts[0], absl::StrCat(seen + dropped));
      ++seen;
    }
  }
  EXPECT_GT(dropped, 0u);
  EXPECT_GT(seen * kLineBytes, LineWriter::kQueuedBytesMax / 2);
  writer.Write("and on it goes");
  EXPECT_EQ(pipe.ReadLine(), "and on it goes");
}

TEST(LineWriter, LineThatNoQueueCouldHoldIsDroppedAndTold) {
  Pipe pipe;
  LineWriter writer(pipe.writer());
  writer.Write(std::string(LineWriter::kQueuedBytesMax, 'x'));
  writer.Write("next");
  EXPECT_EQ(Dropped(pipe.ReadLine().value()), 1u);
  EXPECT_EQ(pipe.ReadLine(), "next");
}

TEST(LineWriter, DestructorDoesNotWaitForAReaderThatStopped) {
  Pipe pipe;
  auto writer = std::make_unique<LineWriter>(pipe.writer());
  for (int i = 0; i < 1000; ++i) writer->Write(std::string(1 << 10, '.'));
  writer.reset();
  pipe.CloseWriter();
  const size_t lines = pipe.ReadAll().size();
  EXPECT_GT(lines, 0u);  // What the pipe itself holds.
  EXPECT_LT(lines, 1000u);
}

TEST(LineWriter, AReaderThatClosedItsEndBlocksNobody) {
  signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  LineWriter writer(pipe.writer());
  writer.Write("read");
  EXPECT_EQ(pipe.ReadLine(), "read");
  pipe.CloseReader();
  for (int i = 0; i < 10'000; ++i) writer.Write(std::string(1 << 10, '.'));
}

TEST(LineWriter, ADescriptorThatIsNotOpenBlocksNobody) {
  LineWriter writer(-1);
  for (int i = 0; i < 10'000; ++i) writer.Write("line");
}

}  // namespace
}  // namespace leasehold
