// Page tokens of an engine: whose they are, and how long they are good.
#include "service/orchestration/page_queries.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/orchestration/engine_fixture.h"
#include "tests/support/partition_writer.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using Code = absl::StatusCode;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class PageTest : public EngineTest {
 protected:
  absl::StatusOr<OrchestrationPage> Query(OrchestrationQuery query) {
    Asked<OrchestrationPage> page;
    engine().Query(std::move(query), page.done());
    Settle();
    if (!page.ok()) return page.status();
    return page.value();
  }
  absl::StatusOr<FinishedIdsPage> ListFinished(FinishedIdsQuery query) {
    Asked<FinishedIdsPage> page;
    engine().ListFinished(std::move(query), page.done());
    Settle();
    if (!page.ok()) return page.status();
    return page.value();
  }

  // Three that have ended, and lists with one of them on a page.
  void SetUp() override {
    worker_ = &Connect();
    for (const char* id : {"a-1", "a-2", "a-3"}) {
      Start(id);
      Settle();
      Answer(worker_->TakeTurn(), {Complete()});
      Settle();
    }
    query_.page_token.text = Query(query_)->next_page_token;
    finished_.page_token.text = ListFinished(finished_)->next_page_token;
    ASSERT_NE(query_.page_token.text, "");
    ASSERT_NE(finished_.page_token.text, "");
  }
  static std::vector<std::string> Ids(
      const absl::StatusOr<OrchestrationPage>& page) {
    std::vector<std::string> ids;
    if (!page.ok()) return {page.status().ToString()};
    for (const OrchestrationInfo& info : page->orchestrations) {
      ids.push_back(info.id);
    }
    return ids;
  }

  FakeWorker* worker_ = nullptr;
  OrchestrationQuery query_{.filter = {.tenant = "default", .count_max = 1}};
  FinishedIdsQuery finished_{.tenant = "default", .count_max = 1};
};

TEST_F(PageTest, TheNextPageBeginsBehindTheLastOne) {
  EXPECT_THAT(Ids(Query(query_)), ElementsAre("a-2"));
  EXPECT_THAT(ListFinished(finished_)->ids, ElementsAre("a-2"));
  // The size of a page may change on the way.
  query_.filter.count_max = 10;
  EXPECT_THAT(Ids(Query(query_)), ElementsAre("a-2", "a-3"));
  EXPECT_EQ(Query(query_)->next_page_token, "");
  finished_.count_max = 10;
  EXPECT_THAT(ListFinished(finished_)->ids, ElementsAre("a-2", "a-3"));
  EXPECT_EQ(ListFinished(finished_)->next_page_token, "");
}

// Clients of the Durable Task protocol look for it there.
TEST_F(PageTest, APageThatIsJustFullIsTheLastOne) {
  for (const size_t count : {1, 3}) {
    OrchestrationQuery query = query_;
    query.page_token.text.clear();
    query.filter.count_max = count;
    FinishedIdsQuery finished = finished_;
    finished.page_token.text.clear();
    finished.count_max = count;
    for (size_t seen = count; seen <= 3; seen += count) {
      const auto page = Query(query);
      ASSERT_EQ(page->orchestrations.size(), count);
      query.page_token.text = page->next_page_token;
      const auto ids = ListFinished(finished);
      ASSERT_EQ(ids->ids.size(), count);
      finished.page_token.text = ids->next_page_token;
      EXPECT_EQ(query.page_token.text.empty(), seen == 3);
      EXPECT_EQ(finished.page_token.text.empty(), seen == 3);
    }
  }
}

TEST_F(PageTest, TheTokenOfFinishedIdsShowsTheLastOneOfItsPage) {
  EXPECT_THAT(finished_.page_token.text, testing::StartsWith("a-1:"));
  finished_.count_max = 1;
  const std::string second = ListFinished(finished_)->next_page_token;
  EXPECT_THAT(second, testing::StartsWith("a-2:"));
  // The same with another ID in it is refused, as is an ID alone.
  for (const std::string& forged :
       {"a-3" + second.substr(3), std::string("a-2"), std::string("a-2:"),
        second + "x", second.substr(1), "a-1:" + second}) {
    finished_.page_token.text = forged;
    EXPECT_EQ(ListFinished(finished_).status().code(), Code::kInvalidArgument)
        << forged;
  }
}

// It goes through the doors with the query, but only its maker can read it.
TEST_F(PageTest, AHistoryGoesOnWithATokenOfItsOwn) {
  Run(*worker_, "long", {CallTask(1, "Work")});
  Done(worker_->TakeActivity());
  Settle();
  Answer(worker_->TakeTurn(), {Complete()});
  Settle();
  const auto first = Page("long", {.bytes_max = 1});
  ASSERT_TRUE(first.ok() && first.value().next.has_value());
  const HistoryQuery next = *first.value().next;
  EXPECT_EQ(next.page_token.text.size(), 43u);
  EXPECT_TRUE(Page("long", next).ok());
  Reopen();
  EXPECT_TRUE(Page("long", next).ok());
  // Another history, another execution, another list.
  EXPECT_EQ(Page("a-1", next).code(), Code::kInvalidArgument);
  HistoryQuery other = next;
  other.execution_id = "other";
  EXPECT_EQ(Page("long", other).code(), Code::kInvalidArgument);
  other = next;
  other.page_token.text = query_.page_token.text;
  EXPECT_EQ(Page("long", other).code(), Code::kInvalidArgument);
  other.page_token.text = next.page_token.text;
  other.page_token.text[7] ^= 1;
  EXPECT_EQ(Page("long", other).code(), Code::kInvalidArgument);
}

TEST_F(PageTest, TokensOutliveARestart) {
  Reopen();
  EXPECT_THAT(Ids(Query(query_)), ElementsAre("a-2"));
  EXPECT_THAT(ListFinished(finished_)->ids, ElementsAre("a-2"));
  Crash();
  EXPECT_THAT(Ids(Query(query_)), ElementsAre("a-2"));
}

TEST_F(PageTest, TokensOutliveAWipe) {
  const AskedStatus wiped = Wipe();
  Settle();
  ASSERT_TRUE(wiped.ok());
  Reopen();
  EXPECT_TRUE(Query(query_).ok());
}

TEST_F(PageTest, TokensOfAnotherStoreAreRefused) {
  MemoryStore other;
  PartitionWriter writer;
  ASSERT_TRUE(writer.Open(other).ok());
  const absl::StatusOr<PageTokens> theirs =
      LoadPageTokens(other, writer.fence());
  ASSERT_TRUE(theirs.ok());
  query_.page_token.text = TokenFor(query_, RowPosition{1}, *theirs);
  EXPECT_EQ(Query(query_).status().code(), Code::kInvalidArgument);
  // The same number with a token of this store is right.
  query_.page_token.text =
      TokenFor(query_, RowPosition{1}, *LoadPageTokens(store_, {}));
  EXPECT_THAT(Ids(Query(query_)), ElementsAre("a-2"));
}

TEST_F(PageTest, TheNewestCanComeFirst) {
  OrchestrationQuery newest = query_;
  newest.order = RowOrder::kNewestFirst;
  newest.page_token.text.clear();
  const auto first = Query(newest);
  EXPECT_THAT(Ids(first), ElementsAre("a-3"));
  newest.page_token.text = first->next_page_token;
  // What is started or purged meanwhile changes nothing for the next page.
  Start("a-4");
  const auto purged = Purge("a-3");
  Settle();
  EXPECT_EQ(purged.value().erased, 1);
  EXPECT_THAT(Ids(Query(newest)), ElementsAre("a-2"));
  newest.filter.count_max = 10;
  EXPECT_THAT(Ids(Query(newest)), ElementsAre("a-2", "a-1"));
  EXPECT_EQ(Query(newest)->next_page_token, "");
}

TEST_F(PageTest, ATokenOfOneOrderIsRefusedInTheOther) {
  OrchestrationQuery newest = query_;
  newest.order = RowOrder::kNewestFirst;
  const absl::Status status = Query(newest).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("page_token: \"" + newest.page_token.text),
                    HasSubstr("same filter and order")));
  newest.page_token.text.clear();
  newest.page_token.text = Query(newest)->next_page_token;
  EXPECT_THAT(Ids(Query(newest)), ElementsAre("a-2"));
  newest.order = RowOrder::kOldestFirst;
  EXPECT_EQ(Query(newest).status().code(), Code::kInvalidArgument);
}

TEST_F(PageTest, TokensFromBeforeThereWereOrdersStayGood) {
  PageScope scope("orchestrations", "default");
  scope.AddNumbers({});
  scope.AddNumber(std::nullopt);
  scope.AddNumber(std::nullopt);
  scope.Add("");
  query_.page_token.text = LoadPageTokens(store_, {})->Make(scope, {1, 0});
  EXPECT_THAT(Ids(Query(query_)), ElementsAre("a-2"));
}

TEST_F(PageTest, NamesAndTagsAreAskedOfAllBeforeAPageIsFull) {
  for (const char* id : {"b-1", "b-2", "b-3", "b-4"}) {
    StartRequest request = Request(id);
    request.name = id[2] == '4' ? "Other" : "Named";
    if (id[2] != '2') request.tags = {{"team", "blue"}};
    Asked<StartReceipt> receipt;
    engine().Start(std::move(request), receipt.done());
    Settle();
    ASSERT_TRUE(receipt.ok());
  }
  OrchestrationQuery list = query_;
  list.page_token.text.clear();
  list.filter.count_max = 2;
  const auto ids = [&](const SummaryFilter& summary) {
    list.filter.summary = summary;
    return Ids(Query(list));
  };
  EXPECT_THAT(ids({.name = "Named"}), ElementsAre("b-1", "b-2"));
  EXPECT_THAT(ids({.name = "Other"}), ElementsAre("b-4"));
  EXPECT_THAT(ids({.tags = {"team=blue"}}), ElementsAre("b-1", "b-3"));
  EXPECT_THAT(ids({.name = "Named", .tags = {"team"}}),
              ElementsAre("b-1", "b-3"));
  list.order = RowOrder::kNewestFirst;
  EXPECT_THAT(ids({.tags = {"team"}}), ElementsAre("b-4", "b-3"));
  // The filter is a part of what a token is good for.
  list.filter.count_max = 1;
  list.page_token.text = Query(list)->next_page_token;
  EXPECT_THAT(ids({.tags = {"team"}}), ElementsAre("b-3"));
  for (const SummaryFilter& other :
       {SummaryFilter{}, SummaryFilter{.name = "team"},
        SummaryFilter{.tags = {"team", "team"}}}) {
    list.filter.summary = other;
    EXPECT_EQ(Query(list).status().code(), Code::kInvalidArgument);
  }
}

TEST_F(PageTest, CountsAreOfAllThatMatch) {
  Start("c-1");
  Settle();
  const auto count = [&](OrchestrationFilter filter) {
    Asked<CountedOrchestrations> counts;
    engine().Count(std::move(filter), absl::Seconds(5), counts.done());
    Settle();
    EXPECT_TRUE(counts.value().complete);
    return counts.value().by_status;
  };
  using Status = OrchestrationStatus;
  // However small its pages are.
  EXPECT_THAT(count(query_.filter),
              ElementsAre(testing::Pair(Status::kCompleted, 3),
                          testing::Pair(Status::kPending, 1)));
  EXPECT_THAT(count({.tenant = "default", .id_prefix = "a-"}),
              ElementsAre(testing::Pair(Status::kCompleted, 3)));
  EXPECT_THAT(count({.tenant = "red"}), testing::IsEmpty());
}

TEST_F(PageTest, TokensOfAnotherListAreRefused) {
  std::vector<OrchestrationQuery> others(8, query_);
  others[7].filter.summary.name = "a";
  others[0].filter.tenant = "red";
  others[1].filter.id_prefix = "a";
  others[2].filter.statuses = {1};
  others[3].filter.created_from = 0;
  others[4].filter.created_to = INT64_MAX;
  others[5].page_token.text = finished_.page_token.text;
  others[6].page_token.text.back() ^= 1;
  for (const OrchestrationQuery& other : others) {
    const absl::Status status = Query(other).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("page_token: \"" + other.page_token.text),
                      HasSubstr("same filter")));
  }
  std::vector<FinishedIdsQuery> lists(6, finished_);
  lists[0].tenant = "red";
  lists[1].statuses = {1};
  lists[2].finished_from = 0;
  lists[3].finished_to = INT64_MAX;
  lists[4].page_token.text = query_.page_token.text;
  lists[5].page_token.text.front() ^= 1;
  for (FinishedIdsQuery& other : lists) {
    other.page_token.field = "lastInstanceKey";
    const absl::Status status = ListFinished(other).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("lastInstanceKey: "));
  }
}

TEST_F(PageTest, WhatIsNotATokenIsRefused) {
  Random random(BaseSeed());
  std::vector<std::string> texts = {"x", "1", "-1", "1:2", "0", " "};
  for (int i = 0; i < 500; ++i) {
    std::string text = query_.page_token.text;
    for (int changes = 0; changes <= i % 3; ++changes) {
      text[random() % text.size()] ^= 1 << random() % 8;
    }
    if (text != query_.page_token.text) texts.push_back(std::move(text));
  }
  for (const std::string& text : texts) {
    query_.page_token.text = text;
    EXPECT_EQ(Query(query_).status().code(), Code::kInvalidArgument) << text;
    finished_.page_token.text = text;
    EXPECT_EQ(ListFinished(finished_).status().code(), Code::kInvalidArgument)
        << text;
  }
}

// ---- The key ----------------------------------------------------------------

class PageKeyTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(writer_.Open(store_).ok()); }
  absl::StatusOr<PageTokens> Load() {
    return LoadPageTokens(store_, writer_.fence());
  }

  MemoryStore memory_;
  FaultStore store_{memory_};
  PartitionWriter writer_;
};

TEST_F(PageKeyTest, ItIsMadeOnceAndKept) {
  const OrchestrationQuery query{.filter = {.tenant = "t"}};
  const std::string token = TokenFor(query, RowPosition{5}, *Load());
  ASSERT_TRUE(writer_.Open(store_).ok());
  EXPECT_EQ(TokenFor(query, RowPosition{5}, *Load()), token);
}

TEST_F(PageKeyTest, OneOfTheWrongSizeIsReplaced) {
  const Change damage = PutSetting{"page_token_key", "short"};
  ASSERT_TRUE(writer_.Commit(store_, {&damage, 1}).ok());
  ASSERT_TRUE(Load().ok());
  EXPECT_EQ((*store_.ReadSetting("page_token_key"))->size(),
            PageTokens::kKeyBytes);
}

TEST_F(PageKeyTest, ADamagedOneIsReplaced) {
  store_.FailRead(0, absl::DataLossError("it has a wrong checksum"));
  ASSERT_TRUE(Load().ok());
}

TEST_F(PageKeyTest, AStoreThatCannotBeReadOrWrittenSaysSo) {
  store_.FailRead(0, absl::UnavailableError("it is away"));
  EXPECT_EQ(Load().status().code(), Code::kUnavailable);
  store_.FailCommit(0, FaultStore::Effect::kNone);
  EXPECT_EQ(Load().status().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace leasehold
