// What outlives a run of an instance, in the suite for every Store: replaced
// runs and requests.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/store_conformance.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RequestRow ARequest(std::string request, std::string id) {
  return {.tenant = "t",
          .request = std::move(request),
          .id = std::move(id),
          .receipt = "receipt"};
}

// Starts the instance "a" again and again: each run has a history with its
// number.
std::vector<Change> Runs(RunNumber first, RunNumber last) {
  std::vector<Change> changes;
  for (RunNumber i = first; i <= last; ++i) {
    changes.push_back(PutRun{Row(i, "a")});
    changes.push_back(AppendHistory{i, 0, std::to_string(i)});
  }
  return changes;
}

// ---- Replaced runs ----------------------------------------------------------

TEST_P(StoreConformance, PutRunReplacesAnOpenOneWithItsKey) {
  Commit(Everything(1, "a"));
  Commit({PutRun{Row(2, "a")}});
  EXPECT_EQ(Find("t", "a"), Row(2, "a"));
  EXPECT_THAT(Numbers(Rows({.tenant = "t"})), ElementsAre(2));
  const OpenRun open = OnlyOpen();
  EXPECT_EQ(open.row, Row(2, "a"));
  EXPECT_THAT(open.messages, IsEmpty());
  EXPECT_THAT(open.timers, IsEmpty());
  EXPECT_THAT(open.tasks, IsEmpty());
  EXPECT_THAT(History(2), IsEmpty());
}

TEST_P(StoreConformance, PutRunReplacesAFinishedOneWithItsKey) {
  Commit({PutRun{Row(1, "a")}, UpdateRun{1, 5, 99, "done"}});
  Commit({PutRun{Row(2, "a")}});
  EXPECT_EQ(Find("t", "a"), Row(2, "a"));
  EXPECT_THAT(Finished({.tenant = "t"}), IsEmpty());
  EXPECT_THAT(Numbers(Rows({.tenant = "t"})), ElementsAre(2));
  ASSERT_THAT(Numbers(Replaced("t", "a")), ElementsAre(1));
  EXPECT_EQ(Replaced("t", "a")[0].finished, 99);
}

TEST_P(StoreConformance, ReplacedRunKeepsItsRowAndItsHistory) {
  Commit({PutRun{Row(1, "a")}, AppendHistory{1, 0, "zero"},
          AppendHistory{1, 1, "one"}});
  Commit({PutRun{Row(2, "a")}, AppendHistory{2, 0, "other"}});
  EXPECT_THAT(Replaced("t", "a"), ElementsAre(Row(1, "a")));
  EXPECT_THAT(History(1), ElementsAre("zero", "one"));
  EXPECT_EQ(store_->ReadHistoryEnds(1)->first, "zero");
  EXPECT_EQ(store_->ReadHistoryEnds(1)->last, "one");
  EXPECT_THAT(History(2), ElementsAre("other"));
}

TEST_P(StoreConformance, ReplacedRunIsAsTheSameBatchHadMadeIt) {
  Commit(Everything(1, "a"));
  Commit({UpdateRun{1, 5, 99, "done"}, AppendHistory{1, 1, "the end"},
          PutRun{Row(2, "a")}, AppendHistory{2, 0, "beginning"}});
  RunRow expected = Row(1, "a");
  expected.status = 5;
  expected.finished = 99;
  expected.summary = "done";
  EXPECT_THAT(Replaced("t", "a"), ElementsAre(expected));
  EXPECT_THAT(History(1), ElementsAre("events", "the end"));
  EXPECT_THAT(History(2), ElementsAre("beginning"));
}

TEST_P(StoreConformance, NothingInAReplacedRunChanges) {
  Commit({PutRun{Row(1, "a")}, AppendHistory{1, 0, "events"},
          PutRun{Row(2, "a")}});
  Commit({UpdateRun{1, 4, std::nullopt, "s"}, UpdateRun{1, 4, 9, "s"},
          AppendHistory{1, 0, "other"}, AppendHistory{1, 1, "more"},
          ClearExecution{1}, PutMessage{{1, 1, "", "event"}},
          PutTimer{{1, 2, 50}}, PutTask{{1, 3, "task"}}, TakeMessages{1, 9},
          DropTimer{1, 2}, DropTask{1, 3}, EraseRun{1}});
  EXPECT_THAT(Replaced("t", "a"), ElementsAre(Row(1, "a")));
  EXPECT_THAT(History(1), ElementsAre("events"));
  EXPECT_EQ(Find("t", "a"), Row(2, "a"));
  EXPECT_EQ(OnlyOpen().row, Row(2, "a"));
}

TEST_P(StoreConformance, ReplacedRunsAreReadByTheirKeyTheNewestFirst) {
  RunRow other = Row(10, "a");
  other.tenant = "u";
  Commit({PutRun{Row(1, "a")}, PutRun{Row(3, "a")}, PutRun{Row(2, "a")},
          PutRun{Row(4, "b")}, PutRun{Row(5, "b")}, PutRun{other}});
  EXPECT_THAT(Numbers(Replaced("t", "a")), ElementsAre(3, 1));
  EXPECT_THAT(Numbers(Replaced("t", "b")), ElementsAre(4));
  EXPECT_THAT(Replaced("u", "a"), IsEmpty());
  EXPECT_THAT(Replaced("t", "A"), IsEmpty());
  EXPECT_THAT(Replaced("", "ta"), IsEmpty());
}

TEST_P(StoreConformance, EleventhReplacedRunErasesTheOldestWithItsHistory) {
  Commit({PutRun{Row(101, "b")}, AppendHistory{101, 0, "events"},
          PutRun{Row(102, "b")}});
  Commit(Runs(1, 11));
  EXPECT_THAT(Numbers(Replaced("t", "a")),
              ElementsAre(10, 9, 8, 7, 6, 5, 4, 3, 2, 1));
  EXPECT_THAT(History(1), ElementsAre("1"));
  Commit(Runs(12, 12));
  EXPECT_THAT(Numbers(Replaced("t", "a")),
              ElementsAre(11, 10, 9, 8, 7, 6, 5, 4, 3, 2));
  EXPECT_THAT(History(1), IsEmpty());
  EXPECT_THAT(History(2), ElementsAre("2"));
  EXPECT_THAT(History(12), ElementsAre("12"));
  // Each key has its own.
  EXPECT_THAT(Numbers(Replaced("t", "b")), ElementsAre(101));
  EXPECT_THAT(History(101), ElementsAre("events"));
}

TEST_P(StoreConformance, ReplacedRunsStayWhenItsKeyIsFinishedOrOpenedAgain) {
  Commit(Runs(1, 2));
  Commit({UpdateRun{2, 4, 99, "done"}});
  EXPECT_THAT(Numbers(Replaced("t", "a")), ElementsAre(1));
  Commit({UpdateRun{2, 1, std::nullopt, "again"}, ClearExecution{2}});
  EXPECT_THAT(Numbers(Replaced("t", "a")), ElementsAre(1));
  EXPECT_THAT(History(1), ElementsAre("1"));
}

TEST_P(StoreConformance, EraseRunErasesTheReplacedRunsOfItsKey) {
  Commit(Runs(1, 3));
  Commit({PutRun{Row(4, "b")}, AppendHistory{4, 0, "4"}, PutRun{Row(5, "b")},
          EraseRun{3}});
  EXPECT_THAT(Replaced("t", "a"), IsEmpty());
  EXPECT_THAT(History(1), IsEmpty());
  EXPECT_THAT(History(2), IsEmpty());
  EXPECT_THAT(History(3), IsEmpty());
  EXPECT_THAT(Numbers(Replaced("t", "b")), ElementsAre(4));
  EXPECT_THAT(History(4), ElementsAre("4"));
}

TEST_P(StoreConformance, EraseTenantErasesReplacedRunsAndRequests) {
  Commit(Runs(1, 2));
  Commit({PutRequest{ARequest("r", "a")}, EraseTenant{"t"}});
  EXPECT_THAT(Replaced("t", "a"), IsEmpty());
  EXPECT_THAT(History(1), IsEmpty());
  EXPECT_EQ(Request("t", "r"), std::nullopt);
  EXPECT_EQ(LastNumber(), 0);
}

TEST_P(StoreConformance, LastNumberMayBeOfAReplacedRun) {
  Commit({PutRun{Row(9, "a")}, PutRun{Row(5, "a")}});
  EXPECT_EQ(LastNumber(), 9);
  Commit({EraseRun{5}});
  EXPECT_EQ(LastNumber(), 0);
}

TEST_P(StoreConformance, PutRunOfAReplacedRunsNumberErasesTheRun) {
  Commit(Runs(1, 3));
  Commit({PutRun{Row(1, "b")}});
  EXPECT_THAT(Numbers(Replaced("t", "a")), ElementsAre(2));
  EXPECT_THAT(History(1), IsEmpty());
  EXPECT_EQ(Find("t", "b"), Row(1, "b"));
  Commit({PutRun{Row(2, "a")}});
  EXPECT_THAT(Numbers(Replaced("t", "a")), ElementsAre(3));
  EXPECT_EQ(Find("t", "a"), Row(2, "a"));
  // Restarted under its own number, it is not its own replaced run.
  Commit({PutRun{Row(2, "a")}});
  EXPECT_THAT(Numbers(Replaced("t", "a")), ElementsAre(3));
}

// ---- Requests ---------------------------------------------------------------

TEST_P(StoreConformance, RequestIsFoundByItsTenantAndNameAlone) {
  Commit({PutRun{Row(1, "a")}, PutRequest{ARequest("r", "a")}});
  EXPECT_EQ(Request("t", "r"), ARequest("r", "a"));
  EXPECT_EQ(Request("t", "R"), std::nullopt);
  EXPECT_EQ(Request("u", "r"), std::nullopt);
  EXPECT_EQ(Request("", "tr"), std::nullopt);
  EXPECT_EQ(Request("t", "a"), std::nullopt);
}

TEST_P(StoreConformance, PutRequestTakesThePlaceOfTheOld) {
  RequestRow of_another_tenant = ARequest("r", "a");
  of_another_tenant.tenant = "u";
  Commit({PutRequest{ARequest("r", "a")}, PutRequest{of_another_tenant}});
  RequestRow newer = ARequest("r", "b");
  newer.receipt = "another";
  Commit({PutRequest{newer}});
  EXPECT_EQ(Request("t", "r"), newer);
  EXPECT_EQ(Request("u", "r"), of_another_tenant);
}

TEST_P(StoreConformance, RequestStaysWhenItsInstanceIsReplaced) {
  Commit({PutRun{Row(1, "a")}, PutRequest{ARequest("r", "a")}});
  for (RunNumber i = 2; i < 20; ++i) Commit({PutRun{Row(i, "a")}});
  EXPECT_EQ(Request("t", "r"), ARequest("r", "a"));
}

TEST_P(StoreConformance, RequestComesBeforeItsInstanceToo) {
  Commit({PutRequest{ARequest("r", "a")}, PutRun{Row(1, "a")}});
  EXPECT_EQ(Request("t", "r"), ARequest("r", "a"));
  Commit({EraseRun{1}});
  EXPECT_EQ(Request("t", "r"), std::nullopt);
}

TEST_P(StoreConformance, EraseRunErasesTheRequestsOfItsKey) {
  RequestRow of_another_tenant = ARequest("r1", "a");
  of_another_tenant.tenant = "u";
  Commit({PutRun{Row(1, "a")}, PutRun{Row(2, "b")},
          PutRequest{ARequest("r1", "a")}, PutRequest{ARequest("r2", "a")},
          PutRequest{ARequest("r3", "b")}, PutRequest{of_another_tenant}});
  Commit({EraseRun{1}});
  EXPECT_EQ(Request("t", "r1"), std::nullopt);
  EXPECT_EQ(Request("t", "r2"), std::nullopt);
  EXPECT_EQ(Request("t", "r3"), ARequest("r3", "b"));
  EXPECT_EQ(Request("u", "r1"), of_another_tenant);
}

TEST_P(StoreConformance, RequestGoesWithTheInstanceThatItWasPutForLast) {
  Commit({PutRun{Row(1, "a")}, PutRun{Row(2, "b")},
          PutRequest{ARequest("r", "a")}, PutRequest{ARequest("r", "b")}});
  Commit({EraseRun{1}});
  EXPECT_EQ(Request("t", "r"), ARequest("r", "b"));
  Commit({EraseRun{2}});
  EXPECT_EQ(Request("t", "r"), std::nullopt);
}

TEST_P(StoreConformance, EraseRunOfAReplacedRunErasesNoRequest) {
  Commit(Runs(1, 2));
  Commit({PutRequest{ARequest("r", "a")}, EraseRun{1}, EraseRun{3}});
  EXPECT_EQ(Request("t", "r"), ARequest("r", "a"));
}

TEST_P(StoreConformance, AnyBytesOfARequestAreKept) {
  const std::string nul("a\0b", 3);
  const RequestRow any = {nul, std::string("\0\xff", 2), nul, std::string()};
  const RequestRow empty;
  Commit({PutRequest{any}, PutRequest{empty}});
  EXPECT_EQ(Request(any.tenant, any.request), any);
  EXPECT_EQ(Request(any.tenant, ""), std::nullopt);
  EXPECT_EQ(Request("", ""), empty);
}

// ---- Opened again -----------------------------------------------------------

TEST_P(StoreConformance, OpenAgainKeepsReplacedRunsAndRequests) {
  Commit(Runs(1, 12));
  Commit({PutRequest{ARequest("r", "a")}});
  ASSERT_TRUE(writer_.Open(*store_).ok());
  EXPECT_THAT(Numbers(Replaced("t", "a")),
              ElementsAre(11, 10, 9, 8, 7, 6, 5, 4, 3, 2));
  EXPECT_THAT(History(2), ElementsAre("2"));
  EXPECT_EQ(Request("t", "r"), ARequest("r", "a"));
  EXPECT_THAT(Numbers(Rows({.tenant = "t"})), ElementsAre(12));
}

}  // namespace
}  // namespace leasehold
