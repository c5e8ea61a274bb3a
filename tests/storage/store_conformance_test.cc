// One suite for every Store: what the contract says, and no more.
#include "tests/storage/store_conformance.h"

#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/memory_store.h"
#include "service/storage/sqlite_store.h"
#include "tests/support/seed.h"

namespace leasehold {

std::vector<StoreKind> StoreKinds() {
  return {
      {"memory", [](const std::string&,
                    const Clock&) { return std::make_unique<MemoryStore>(); }},
      {"sqlite", [](const std::string& directory, const Clock& clock) {
         return std::make_unique<SqliteStore>(
             SqliteStoreOptions{.directory = directory}, clock);
       }}};
}

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

INSTANTIATE_TEST_SUITE_P(Stores, StoreConformance,
                         testing::ValuesIn(StoreKinds()),
                         [](const testing::TestParamInfo<StoreKind>& info) {
                           return info.param.name;
                         });

// ---- Open, and closed -------------------------------------------------------

TEST_P(StoreConformance, AnswersUnavailableBeforeItIsOpen) {
  TemporaryDirectory other;
  const auto store = GetParam().make(other.path(), clock_);
  constexpr auto kUnavailable = absl::StatusCode::kUnavailable;
  const CommitResult result = writer_.Try(*store, {PutSetting{"a", "b"}});
  EXPECT_EQ(result.outcome(), CommitOutcome::kRefused);
  EXPECT_EQ(result.status().code(), kUnavailable);
  EXPECT_EQ(store->OpenPartition(kOnlyPartition, 1).status().code(),
            kUnavailable);
  EXPECT_EQ(store->ReadOutbox(kOnlyPartition).status().code(), kUnavailable);
  EXPECT_EQ(store->ReadOpen(kOnlyPartition, [](OpenRun) {}).code(),
            kUnavailable);
  EXPECT_EQ(store->ReadLastNumber(kOnlyPartition).status().code(),
            kUnavailable);
  EXPECT_EQ(store->Find("t", "a").status().code(), kUnavailable);
  EXPECT_EQ(store->ReadReplaced("t", "a").status().code(), kUnavailable);
  EXPECT_EQ(store->ReadHistory(1).status().code(), kUnavailable);
  EXPECT_EQ(store->ReadHistoryEnds(1).status().code(), kUnavailable);
  EXPECT_EQ(store->ReadHistoryPart(1, 0, 1).status().code(), kUnavailable);
  EXPECT_EQ(store->Query({}).status().code(), kUnavailable);
  EXPECT_EQ(store->ListFinished({}).status().code(), kUnavailable);
  EXPECT_EQ(store->FindRequest("t", "r").status().code(), kUnavailable);
  EXPECT_EQ(store->ReadSetting("a").status().code(), kUnavailable);
}

TEST_P(StoreConformance, OpenAgainKeepsEverything) {
  Commit(Everything(1, "a"));
  EXPECT_TRUE(writer_.Open(*store_).ok());
  EXPECT_EQ(OnlyOpen().row, Row(1, "a"));
  Commit({PutSetting{"a", "b"}});
}

TEST_P(StoreConformance, IsEmptyAtFirst) {
  EXPECT_THAT(Open(), IsEmpty());
  EXPECT_EQ(LastNumber(), 0);
  EXPECT_EQ(Find("t", "a"), std::nullopt);
  EXPECT_THAT(History(1), IsEmpty());
  EXPECT_EQ(store_->ReadHistoryEnds(1)->first, "");
  EXPECT_EQ(store_->ReadHistoryEnds(1)->last, "");
  EXPECT_THAT(Replaced("t", "a"), IsEmpty());
  EXPECT_EQ(Request("t", "r"), std::nullopt);
  EXPECT_EQ(Setting("a"), std::nullopt);
  EXPECT_THAT(store_->Query({.tenant = "t"})->rows, IsEmpty());
  EXPECT_EQ(store_->Query({.tenant = "t"})->next, std::nullopt);
  EXPECT_THAT(store_->ListFinished({.tenant = "t"})->rows, IsEmpty());
  EXPECT_FALSE(store_->ListFinished({.tenant = "t"})->next);
}

TEST_P(StoreConformance, CommitOfNothingIsOk) {
  EXPECT_TRUE(writer_.Commit(*store_, {}).ok());
}

// ---- Changes, one by one ----------------------------------------------------

TEST_P(StoreConformance, PutRunIsFoundByItsKeyAlone) {
  Commit({PutRun{Row(7, "a")}});
  EXPECT_EQ(Find("t", "a"), Row(7, "a"));
  EXPECT_EQ(Find("t", "A"), std::nullopt);
  EXPECT_EQ(Find("u", "a"), std::nullopt);
  EXPECT_EQ(Find("", "ta"), std::nullopt);
  EXPECT_EQ(LastNumber(), 7);
}

TEST_P(StoreConformance, TenantAndIdAreNotOneText) {
  RunRow a = Row(1, "bc");
  a.tenant = "a";
  RunRow ab = Row(2, "c");
  ab.tenant = "ab";
  Commit({PutRun{a}, PutRun{ab}});
  EXPECT_EQ(Find("a", "bc"), a);
  EXPECT_EQ(Find("ab", "c"), ab);
}

TEST_P(StoreConformance, PutRunOfTheSameNumberReplacesIt) {
  Commit(Everything(1, "a"));
  Commit({PutRun{Row(1, "a")}});
  EXPECT_THAT(History(1), IsEmpty());
  EXPECT_THAT(OnlyOpen().timers, IsEmpty());
  Commit(Everything(2, "b"));
  Commit({PutRun{Row(2, "c")}});
  EXPECT_EQ(Find("t", "b"), std::nullopt);
  EXPECT_EQ(Find("t", "c"), Row(2, "c"));
  EXPECT_THAT(History(2), IsEmpty());
}

TEST_P(StoreConformance, UpdateInstanceChangesStatusAndSummary) {
  Commit(Everything(1, "a"));
  Commit({UpdateRun{1, -3, std::nullopt, "new"}});
  RunRow expected = Row(1, "a");
  expected.status = -3;
  expected.summary = "new";
  const OpenRun open = OnlyOpen();
  EXPECT_EQ(open.row, expected);
  EXPECT_EQ(open.messages.size(), 1u);
  EXPECT_EQ(Find("t", "a"), expected);
}

TEST_P(StoreConformance, UpdateInstanceThatFinishesLeavesTheHistoryAlone) {
  Commit(Everything(1, "a"));
  Commit({UpdateRun{1, 4, 99, "done"}});
  EXPECT_THAT(Open(), IsEmpty());
  EXPECT_THAT(History(1), ElementsAre("events"));
  EXPECT_EQ(Find("t", "a")->finished, 99);
  // Opening it again shows that messages, timers and tasks are gone.
  Commit({UpdateRun{1, 1, std::nullopt, "again"}});
  const OpenRun open = OnlyOpen();
  EXPECT_EQ(open.row.finished, std::nullopt);
  EXPECT_EQ(open.row.summary, "again");
  EXPECT_THAT(open.messages, IsEmpty());
  EXPECT_THAT(open.timers, IsEmpty());
  EXPECT_THAT(open.tasks, IsEmpty());
  EXPECT_THAT(Finished({.tenant = "t"}), IsEmpty());
}

TEST_P(StoreConformance, FinishInstanceKeepsTheSummaryAndAddsToTheHistory) {
  Commit(Everything(1, "a"));
  Commit({FinishRun{1, 5, 99, "the end"}});
  EXPECT_THAT(Open(), IsEmpty());
  EXPECT_THAT(History(1), ElementsAre("events", "the end"));
  RunRow expected = Row(1, "a");
  expected.status = 5;
  expected.finished = 99;
  EXPECT_EQ(Find("t", "a"), expected);
  EXPECT_THAT(Numbers(Finished({.tenant = "t"})), ElementsAre(1));
  // A finished instance stays as it is.
  Commit({FinishRun{1, 6, 100, "more"}});
  EXPECT_EQ(Find("t", "a"), expected);
  EXPECT_THAT(History(1), ElementsAre("events", "the end"));
  Commit({UpdateRun{1, 1, std::nullopt, "again"}});
  EXPECT_THAT(OnlyOpen().messages, IsEmpty());
}

TEST_P(StoreConformance, FinishInstanceBeginsAHistoryThatIsNotThere) {
  Commit({PutRun{Row(1, "a")}, FinishRun{1, 5, 99, "all of it"}});
  EXPECT_THAT(History(1), ElementsAre("all of it"));
  EXPECT_EQ(store_->ReadHistoryEnds(1)->first, "all of it");
}

TEST_P(StoreConformance, ChangesToNoInstanceChangeNothing) {
  Commit({UpdateRun{1, 4, std::nullopt, "s"}, UpdateRun{1, 4, 9, "s"},
          FinishRun{1, 4, 9, "end"}, AppendHistory{1, 0, "events"},
          PutMessage{{1, 1, "", "event"}}, PutTimer{{1, 2, 50}},
          PutTask{{1, 3, "task"}}, ClearExecution{1}, TakeMessages{1, 9},
          DropTimer{1, 2}, DropTask{1, 3}, EraseRun{1}});
  EXPECT_THAT(History(1), IsEmpty());
  EXPECT_EQ(LastNumber(), 0);
  Commit({PutRun{Row(1, "a")}});
  const OpenRun open = OnlyOpen();
  EXPECT_THAT(open.messages, IsEmpty());
  EXPECT_THAT(open.timers, IsEmpty());
  EXPECT_THAT(open.tasks, IsEmpty());
  EXPECT_THAT(History(1), IsEmpty());
}

TEST_P(StoreConformance, FinishedInstanceTakesHistoryOnly) {
  Commit({PutRun{Row(1, "a")}, UpdateRun{1, 4, 99, "done"},
          AppendHistory{1, 0, "events"}, PutMessage{{1, 1, "", "event"}},
          PutTimer{{1, 2, 50}}, PutTask{{1, 3, "task"}}});
  EXPECT_THAT(History(1), ElementsAre("events"));
  Commit({UpdateRun{1, 1, std::nullopt, "again"}});
  const OpenRun open = OnlyOpen();
  EXPECT_THAT(open.messages, IsEmpty());
  EXPECT_THAT(open.timers, IsEmpty());
  EXPECT_THAT(open.tasks, IsEmpty());
}

TEST_P(StoreConformance, HistoryIsInOrderOfItsChunks) {
  Commit({PutRun{Row(1, "a")}, AppendHistory{1, 0, "zero"}});
  EXPECT_EQ(store_->ReadHistoryEnds(1)->first, "zero");
  EXPECT_EQ(store_->ReadHistoryEnds(1)->last, "zero");
  Commit({AppendHistory{1, 2, "two"}, AppendHistory{1, 1, "one"}});
  Commit({AppendHistory{1, 10, "ten"}});
  EXPECT_THAT(History(1), ElementsAre("zero", "one", "two", "ten"));
  EXPECT_EQ(store_->ReadHistoryEnds(1)->first, "zero");
  EXPECT_EQ(store_->ReadHistoryEnds(1)->last, "ten");
}

TEST_P(StoreConformance, HistoryIsReadInParts) {
  Commit({PutRun{Row(1, "a")}, AppendHistory{1, 0, "123"},
          AppendHistory{1, 2, "4567"}, AppendHistory{1, 3, "89"},
          PutRun{Row(2, "b")}, AppendHistory{2, 1, "another's"}});
  const auto read = [this](RunNumber number, int64_t first, size_t max) {
    auto part = store_->ReadHistoryPart(number, first, max);
    EXPECT_TRUE(part.ok()) << part.status();
    return part.ok() ? *std::move(part) : HistoryPart();
  };
  // As many chunks as fit, and at least one.
  EXPECT_THAT(read(1, 0, 7).chunks, ElementsAre("123", "4567"));
  EXPECT_EQ(read(1, 0, 7).next, 3);
  EXPECT_THAT(read(1, 0, 6).chunks, ElementsAre("123"));
  EXPECT_EQ(read(1, 0, 6).next, 2);
  EXPECT_THAT(read(1, 2, 0).chunks, ElementsAre("4567"));
  EXPECT_EQ(read(1, 2, 0).next, 3);
  // The last part.
  EXPECT_THAT(read(1, 0, 9).chunks, ElementsAre("123", "4567", "89"));
  EXPECT_EQ(read(1, 0, 9).next, std::nullopt);
  EXPECT_THAT(read(1, 3, 0).chunks, ElementsAre("89"));
  EXPECT_EQ(read(1, 3, 0).next, std::nullopt);
  // Between two chunks, after all of them, and for a missing instance.
  EXPECT_THAT(read(1, 1, 0).chunks, ElementsAre("4567"));
  EXPECT_THAT(read(1, 4, 100).chunks, IsEmpty());
  EXPECT_EQ(read(1, 4, 100).next, std::nullopt);
  EXPECT_THAT(read(3, 0, 100).chunks, IsEmpty());
}

TEST_P(StoreConformance, ClearExecutionKeepsMessagesOnly) {
  Commit(Everything(1, "a"));
  Commit(Everything(2, "b"));
  Commit({ClearExecution{1}});
  EXPECT_THAT(History(1), IsEmpty());
  EXPECT_THAT(History(2), ElementsAre("events"));
  const std::vector<OpenRun> open = Open();
  ASSERT_EQ(open.size(), 2u);
  EXPECT_EQ(open[0].row, Row(1, "a"));
  EXPECT_THAT(open[0].messages, ElementsAre(MessageRow{1, 1, "", "event"}));
  EXPECT_THAT(open[0].timers, IsEmpty());
  EXPECT_THAT(open[0].tasks, IsEmpty());
  EXPECT_THAT(open[1].timers, ElementsAre(TimerRow{2, 2, 50}));
  EXPECT_THAT(open[1].tasks, ElementsAre(TaskRow{2, 3, "task"}));
}

TEST_P(StoreConformance, TakeMessagesTakesThoseUpToTheSequence) {
  Commit({PutRun{Row(1, "a")}, PutRun{Row(2, "b")},
          PutMessage{{1, 3, "x", "three"}}, PutMessage{{1, -2, "", "before"}},
          PutMessage{{1, 4, "", "four"}}, PutMessage{{2, -9, "", "other"}}});
  EXPECT_THAT(Open()[0].messages, ElementsAre(MessageRow{1, -2, "", "before"},
                                              MessageRow{1, 3, "x", "three"},
                                              MessageRow{1, 4, "", "four"}));
  Commit({TakeMessages{1, 3}});
  EXPECT_THAT(Open()[0].messages, ElementsAre(MessageRow{1, 4, "", "four"}));
  EXPECT_THAT(Open()[1].messages, ElementsAre(MessageRow{2, -9, "", "other"}));
}

TEST_P(StoreConformance, TimersAndTasksAreDroppedOneByOne) {
  Commit({PutRun{Row(1, "a")}, PutTimer{{1, 5, 10}}, PutTimer{{1, -5, 20}},
          PutTask{{1, 5, "five"}}, PutTask{{1, -5, "before"}}});
  Commit({DropTimer{1, 5}, DropTimer{1, 6}, DropTask{1, -5}, DropTask{2, 5}});
  EXPECT_THAT(OnlyOpen().timers, ElementsAre(TimerRow{1, -5, 20}));
  EXPECT_THAT(OnlyOpen().tasks, ElementsAre(TaskRow{1, 5, "five"}));
}

TEST_P(StoreConformance, PutReplacesARowOfTheSameSequence) {
  Commit(Everything(1, "a"));
  Commit({AppendHistory{1, 0, "other"}, PutMessage{{1, 1, "x", "other"}},
          PutTimer{{1, 2, 51}}, PutTask{{1, 3, "other"}}});
  EXPECT_THAT(History(1), ElementsAre("other"));
  const OpenRun open = OnlyOpen();
  EXPECT_THAT(open.messages, ElementsAre(MessageRow{1, 1, "x", "other"}));
  EXPECT_THAT(open.timers, ElementsAre(TimerRow{1, 2, 51}));
  EXPECT_THAT(open.tasks, ElementsAre(TaskRow{1, 3, "other"}));
}

TEST_P(StoreConformance, EraseRunErasesAllThatBelongsToIt) {
  Commit(Everything(1, "a"));
  Commit(Everything(2, "b"));
  Commit({EraseRun{1}});
  EXPECT_EQ(Find("t", "a"), std::nullopt);
  EXPECT_THAT(History(1), IsEmpty());
  EXPECT_EQ(OnlyOpen().row.number, 2);
  Commit({PutRun{Row(1, "a")}});  // Nothing of the old one is left.
  EXPECT_THAT(Open()[0].messages, IsEmpty());
  EXPECT_THAT(Open()[0].timers, IsEmpty());
  EXPECT_THAT(Open()[0].tasks, IsEmpty());
}

TEST_P(StoreConformance, EraseTenantKeepsSettings) {
  Commit(Everything(1, "a"));
  Commit({PutRun{FinishedRow(2, 5)}, PutSetting{"name", "value"}});
  Commit({EraseTenant{"t"}});
  EXPECT_THAT(Open(), IsEmpty());
  EXPECT_THAT(Rows({.tenant = "t"}), IsEmpty());
  EXPECT_THAT(Finished({.tenant = "t"}), IsEmpty());
  EXPECT_THAT(History(1), IsEmpty());
  EXPECT_EQ(LastNumber(), 0);
  EXPECT_EQ(Setting("name"), "value");
}

TEST_P(StoreConformance, SettingsAreReplacedAndKeptApart) {
  Commit({PutSetting{"a", "1"}, PutSetting{"A", "2"}, PutSetting{"", "3"}});
  Commit({PutSetting{"a", ""}});
  EXPECT_EQ(Setting("a"), "");
  EXPECT_EQ(Setting("A"), "2");
  EXPECT_EQ(Setting(""), "3");
  EXPECT_EQ(Setting("b"), std::nullopt);
}

TEST_P(StoreConformance, LastNumberIsOfThoseThatAre) {
  Commit({PutRun{Row(5, "a")}, PutRun{FinishedRow(9, 1)}});
  EXPECT_EQ(LastNumber(), 9);
  Commit({EraseRun{9}});
  EXPECT_EQ(LastNumber(), 5);
}

// ---- Batches ----------------------------------------------------------------

TEST_P(StoreConformance, ChangesOfABatchHappenInTheirOrder) {
  Commit({PutRun{Row(1, "a")}, PutMessage{{1, 1, "", "first"}},
          TakeMessages{1, 1}, PutMessage{{1, 1, "", "second"}},
          PutTask{{1, 1, "t"}}, DropTask{1, 1}, AppendHistory{1, 0, "lost"},
          ClearExecution{1}, AppendHistory{1, 0, "kept"}, EraseRun{2},
          PutRun{Row(2, "b")}, EraseRun{2}, PutSetting{"a", "1"},
          PutSetting{"a", "2"}});
  const OpenRun open = OnlyOpen();
  EXPECT_THAT(open.messages, ElementsAre(MessageRow{1, 1, "", "second"}));
  EXPECT_THAT(open.tasks, IsEmpty());
  EXPECT_THAT(History(1), ElementsAre("kept"));
  EXPECT_EQ(Setting("a"), "2");
}

TEST_P(StoreConformance, ATenantErasedInABatchHasWhatComesAfter) {
  Commit(Everything(1, "a"));
  std::vector<Change> batch = {EraseTenant{"t"}};
  for (Change& change : Everything(2, "a")) batch.push_back(change);
  Commit(batch);
  EXPECT_EQ(OnlyOpen().row.number, 2);
  EXPECT_THAT(History(2), ElementsAre("events"));
}

// Two rows and a setting change together in each batch; readers on other
// threads never see them differ, nor go back.
TEST_P(StoreConformance, ReadersSeeWholeBatchesOnly) {
  Commit({PutRun{Row(1, "a")}, PutRun{Row(2, "b")}});
  constexpr int kBatches = 200;
  std::atomic<bool> done = false;
  const auto read = [&] {
    int last = 0;
    while (!done) {
      const auto page = store_->Query({.tenant = "t"});
      ASSERT_TRUE(page.ok()) << page.status();
      ASSERT_EQ(page->rows.size(), 2u);
      ASSERT_EQ(page->rows[0].status, page->rows[1].status);
      ASSERT_GE(page->rows[0].status, last);
      last = page->rows[0].status;
      int open = 0;
      const absl::Status status =
          store_->ReadOpen(kOnlyPartition, [&](OpenRun instance) {
            ++open;
            // One task, whose sequence is the status.
            const bool first_batch_came = instance.row.status > 1;
            ASSERT_EQ(instance.tasks.size(), first_batch_came ? 1u : 0u);
            if (first_batch_came) {
              ASSERT_EQ(instance.tasks[0].sequence, instance.row.status);
            }
          });
      ASSERT_TRUE(status.ok()) << status;
      ASSERT_EQ(open, 2);
    }
  };
  std::thread one(read);
  std::thread two(read);
  std::thread three(read);
  for (int i = 2; i < kBatches; ++i) {
    Commit({UpdateRun{1, i, std::nullopt, "s"}, DropTask{1, i - 1},
            DropTask{2, i - 1}, PutTask{{1, i, "t"}}, PutTask{{2, i, "t"}},
            UpdateRun{2, i, std::nullopt, "s"}});
  }
  done = true;
  one.join();
  two.join();
  three.join();
}

// ---- Values -----------------------------------------------------------------

TEST_P(StoreConformance, AnyBytesAreKept) {
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes += static_cast<char>(i);
  const std::string nul("a\0b", 3);
  const std::string other_nul("a\0c", 3);
  RunRow row = Row(1, nul);
  row.tenant = other_nul;
  row.summary = all_bytes;
  row.status = std::numeric_limits<int32_t>::min();
  row.created = std::numeric_limits<StoredTime>::min();
  Commit({PutRun{row}, AppendHistory{1, 0, all_bytes},
          PutMessage{{1, std::numeric_limits<int64_t>::min(), nul, all_bytes}},
          PutTimer{{1, std::numeric_limits<int64_t>::max(),
                    std::numeric_limits<StoredTime>::max()}},
          PutTask{{1, 0, ""}}, PutSetting{nul, other_nul}});
  EXPECT_EQ(Find(other_nul, nul), row);
  EXPECT_EQ(Find(other_nul, "a"), std::nullopt);
  EXPECT_EQ(Find(other_nul, other_nul), std::nullopt);
  EXPECT_THAT(History(1), ElementsAre(all_bytes));
  const OpenRun open = OnlyOpen();
  EXPECT_EQ(open.row, row);
  EXPECT_THAT(open.messages,
              ElementsAre(MessageRow{1, std::numeric_limits<int64_t>::min(),
                                     nul, all_bytes}));
  EXPECT_THAT(open.timers,
              ElementsAre(TimerRow{1, std::numeric_limits<int64_t>::max(),
                                   std::numeric_limits<StoredTime>::max()}));
  EXPECT_THAT(open.tasks, ElementsAre(TaskRow{1, 0, ""}));
  EXPECT_EQ(Setting(nul), other_nul);
  EXPECT_EQ(Setting("a"), std::nullopt);
}

TEST_P(StoreConformance, EmptyStringsAreKept) {
  RunRow row;
  row.number = 1;
  Commit({PutRun{row}, AppendHistory{1, 0, ""}, PutMessage{{1, 0, "", ""}},
          PutSetting{"", ""}});
  EXPECT_EQ(Find("", ""), row);
  EXPECT_EQ(Find(std::string_view(), std::string_view()), row);
  EXPECT_THAT(History(1), ElementsAre(""));
  EXPECT_EQ(Setting(""), "");
}

TEST_P(StoreConformance, LargeMessagesAreLeftWhereTheyAre) {
  const std::string small(kLargeMessageBytes, 's');
  const std::string large(kLargeMessageBytes + 1, 'l');
  Commit({PutRun{Row(1, "a")}, PutRun{Row(2, "b")},
          PutMessage{{1, 3, "e", large}}, PutMessage{{1, 1, "", small}},
          PutMessage{{1, 2, "", large}}, PutMessage{{2, 1, "", small}}});
  const std::vector<OpenRun> open = Open();
  ASSERT_EQ(open.size(), 2u);
  EXPECT_THAT(open[0].messages, ElementsAre(MessageRow{1, 1, "", small}));
  EXPECT_THAT(open[0].large_messages,
              ElementsAre(LargeMessage{2, "", std::string(256, 'l'), 16385},
                          LargeMessage{3, "e", std::string(256, 'l'), 16385}));
  EXPECT_THAT(open[1].messages, ElementsAre(MessageRow{2, 1, "", small}));
  EXPECT_THAT(open[1].large_messages, IsEmpty());
}

TEST_P(StoreConformance, LargeActivitiesAreLeftWhereTheyAre) {
  const std::string small(kLargeTaskBytes, 's');
  const std::string large(kLargeTaskBytes + 1, 'l');
  Commit({PutRun{Row(1, "a")}, PutRun{Row(2, "b")}, PutTask{{1, 2, large}},
          PutTask{{1, 1, small}}, PutTask{{2, 1, small}}});
  const std::vector<OpenRun> open = Open();
  ASSERT_EQ(open.size(), 2u);
  EXPECT_THAT(open[0].tasks, ElementsAre(TaskRow{1, 1, small}));
  EXPECT_THAT(open[0].large_tasks,
              ElementsAre(LargeTask{2, std::string(4096, 'l')}));
  EXPECT_THAT(open[1].tasks, ElementsAre(TaskRow{2, 1, small}));
  EXPECT_THAT(open[1].large_tasks, IsEmpty());
  EXPECT_EQ(*store_->ReadTask(1, 2), (TaskRow{1, 2, large}));
  EXPECT_EQ(*store_->ReadTask(1, 1), (TaskRow{1, 1, small}));
  EXPECT_EQ(*store_->ReadTask(2, 2), std::nullopt);
  EXPECT_EQ(*store_->ReadTask(3, 1), std::nullopt);
}

TEST_P(StoreConformance, MessagesAreReadByTheirSequences) {
  Commit({PutRun{Row(1, "a")}, PutRun{Row(2, "b")},
          PutMessage{{1, 5, "", "five"}}, PutMessage{{1, -1, "e", "first"}},
          PutMessage{{1, 2, "", "two"}}, PutMessage{{2, 2, "", "another's"}}});
  const auto read = [this](const MessageRange& range) {
    std::vector<std::string> events;
    const auto rows = store_->ReadMessages(1, range);
    EXPECT_TRUE(rows.ok()) << rows.status();
    for (const MessageRow& row : *rows) events.push_back(row.event);
    return events;
  };
  EXPECT_THAT(read({}), ElementsAre("first", "two", "five"));
  EXPECT_THAT(read({.first = 2}), ElementsAre("two", "five"));
  EXPECT_THAT(read({.last = 2}), ElementsAre("first", "two"));
  EXPECT_THAT(read({.first = 2, .last = 2}), ElementsAre("two"));
  EXPECT_THAT(read({.first = 3, .last = 4}), IsEmpty());
  EXPECT_THAT(read({.count_max = 1}), ElementsAre("first"));
  EXPECT_THAT(read({.count_max = 0}), IsEmpty());
  EXPECT_EQ(store_->ReadMessages(1, {})->front(),
            (MessageRow{1, -1, "e", "first"}));
  EXPECT_THAT(*store_->ReadMessages(3, {}), IsEmpty());
}

TEST_P(StoreConformance, BigValuesAreKept) {
  std::string big(3 << 20, '\0');
  Random random(BaseSeed());
  for (char& byte : big) byte = static_cast<char>(random());
  RunRow row = Row(1, "a");
  row.summary = big;
  Commit({PutRun{row}, AppendHistory{1, 0, big}, AppendHistory{1, 1, "b"},
          PutMessage{{1, 1, "", big}}, PutTask{{1, 1, big}},
          PutSetting{"big", big}});
  EXPECT_TRUE(Find("t", "a") == row);
  EXPECT_TRUE(History(1)[0] == big);
  EXPECT_TRUE(store_->ReadHistoryEnds(1)->first == big);
  const OpenRun open = OnlyOpen();
  EXPECT_THAT(open.messages, IsEmpty());
  EXPECT_THAT(open.large_messages, ElementsAre(MakeLarge(1, "", big)));
  EXPECT_TRUE(store_->ReadMessages(1, {})->front().event == big);
  EXPECT_THAT(open.tasks, IsEmpty());
  EXPECT_THAT(open.large_tasks, ElementsAre(MakeLarge(1, big)));
  EXPECT_TRUE((*store_->ReadTask(1, 1))->task == big);
  EXPECT_TRUE(Setting("big") == big);
}

}  // namespace
}  // namespace leasehold
