// Lists with the newest first, and counts, in the suite for every Store.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/store_conformance.h"
#include "tests/storage/store_model.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

RunRow CreatedAt(RunNumber number, StoredTime created) {
  RunRow row = Row(number, "id-" + std::to_string(number));
  row.created = created;
  return row;
}

RowQuery Newest(RowQuery query = {.tenant = "t"}) {
  query.order = RowOrder::kNewestFirst;
  return query;
}

TEST_P(StoreConformance, NewestComeInOrderOfTheirCreation) {
  Commit({PutRun{CreatedAt(1, 30)}, PutRun{CreatedAt(2, 10)},
          PutRun{CreatedAt(3, -7)}, PutRun{CreatedAt(4, 20)}});
  EXPECT_THAT(Numbers(Rows(Newest())), ElementsAre(1, 4, 2, 3));
  // The other order stays as it is.
  EXPECT_THAT(Numbers(Rows({.tenant = "t"})), ElementsAre(1, 2, 3, 4));
}

TEST_P(StoreConformance, NewestOfOneTimeAreOnPagesExactlyOnce) {
  std::vector<Change> changes;
  for (RunNumber i = 1; i <= 10; ++i) {
    changes.push_back(PutRun{CreatedAt(i, i <= 8 ? 50 : 40)});
  }
  Commit(changes);
  for (const size_t count : {1, 2, 3, 10, 11}) {
    EXPECT_THAT(Numbers(Rows(Newest({.tenant = "t", .count_max = count}))),
                ElementsAre(8, 7, 6, 5, 4, 3, 2, 1, 10, 9))
        << count;
  }
}

TEST_P(StoreConformance, NewestHoldAllConditionsAtOnce) {
  const auto put = [&](RunNumber number, std::string id, int32_t status,
                       StoredTime created, std::optional<StoredTime> finished,
                       std::string summary) {
    Commit({PutRun{{number, "t", std::move(id), status, created, finished,
                    std::move(summary)}}});
  };
  put(1, "order-1", 1, 10, std::nullopt, "red");
  put(2, "order-2", 2, 20, 21, "blue");
  put(3, "other", 1, 30, 31, "red");
  put(4, "order", 3, 40, std::nullopt, "");
  const auto numbers = [&](RowQuery query) {
    return Numbers(Rows(Newest(std::move(query))));
  };
  const auto is_red = [](std::string_view summary) { return summary == "red"; };
  EXPECT_THAT(numbers({.tenant = "t", .statuses = {1}}), ElementsAre(3, 1));
  EXPECT_THAT(numbers({.tenant = "t", .created_from = 20}),
              ElementsAre(4, 3, 2));
  EXPECT_THAT(numbers({.tenant = "t", .created_to = 20}), ElementsAre(2, 1));
  EXPECT_THAT(numbers({.tenant = "t", .created_from = 20, .created_to = 30}),
              ElementsAre(3, 2));
  EXPECT_THAT(numbers({.tenant = "t", .created_from = 31, .created_to = 30}),
              IsEmpty());
  EXPECT_THAT(numbers({.tenant = "t", .id_prefix = "order"}),
              ElementsAre(4, 2, 1));
  EXPECT_THAT(numbers({.tenant = "t", .finished_only = true}),
              ElementsAre(3, 2));
  EXPECT_THAT(numbers({.tenant = "t", .summary = is_red}), ElementsAre(3, 1));
  EXPECT_THAT(Numbers(Rows({.tenant = "t", .summary = is_red})),
              ElementsAre(1, 3));
  EXPECT_THAT(numbers({.tenant = "t", .after = RowPosition{3, 30}}),
              ElementsAre(2, 1));
  EXPECT_THAT(numbers({.tenant = "t",
                       .statuses = {1, 2},
                       .created_to = 35,
                       .id_prefix = "o",
                       .finished_only = true,
                       .summary = is_red,
                       .after = RowPosition{9, 30}}),
              ElementsAre(3));
}

TEST_P(StoreConformance, NewestAtTheEndsOfTimeAreListed) {
  constexpr StoredTime kFirst = std::numeric_limits<StoredTime>::min();
  constexpr StoredTime kLast = std::numeric_limits<StoredTime>::max();
  Commit({PutRun{CreatedAt(1, kLast)}, PutRun{CreatedAt(2, kFirst)},
          PutRun{CreatedAt(3, kLast)}, PutRun{CreatedAt(4, kFirst)}});
  EXPECT_THAT(Numbers(Rows(Newest({.tenant = "t", .count_max = 1}))),
              ElementsAre(3, 1, 4, 2));
}

TEST_P(StoreConformance, NewestOfTenantsAreApart) {
  RunRow other = CreatedAt(2, 20);
  other.tenant = "t2";
  RunRow empty = CreatedAt(3, 30);
  empty.tenant = "";
  Commit({PutRun{CreatedAt(1, 10)}, PutRun{other}, PutRun{empty},
          PutRun{CreatedAt(4, 5)}});
  EXPECT_THAT(Numbers(Rows(Newest({.tenant = "t"}))), ElementsAre(1, 4));
  EXPECT_THAT(Numbers(Rows(Newest({.tenant = "t2"}))), ElementsAre(2));
  EXPECT_THAT(Numbers(Rows(Newest({.tenant = ""}))), ElementsAre(3));
  // Nor do they meet where a page of another one goes on.
  EXPECT_THAT(
      Numbers(Rows(Newest({.tenant = "t", .after = RowPosition{2, 20}}))),
      ElementsAre(1, 4));
  Commit({EraseTenant{"t"}});
  EXPECT_THAT(Rows(Newest({.tenant = "t"})), IsEmpty());
  EXPECT_THAT(Numbers(Rows(Newest({.tenant = "t2"}))), ElementsAre(2));
}

TEST_P(StoreConformance, NewestHaveNoReplacedRun) {
  RunRow again = CreatedAt(3, 30);
  again.id = "id-1";
  Commit({PutRun{CreatedAt(1, 10)}, PutRun{CreatedAt(2, 20)}, PutRun{again}});
  EXPECT_THAT(Numbers(Rows(Newest())), ElementsAre(3, 2));
  Commit({EraseRun{3}});
  EXPECT_THAT(Numbers(Rows(Newest())), ElementsAre(2));
}

// Between pages instances are created, changed, finished and erased, also the
// one at which the page before ended. Those that exist all the time are in
// exactly one page.
TEST_P(StoreConformance, NewestPagesShowWhatStaysExactlyOnce) {
  ForEachSeed(20, [this](Random& random) {
    Commit({EraseTenant{"t"}});
    std::set<RunNumber> stay;
    std::set<RunNumber> others;
    const auto put = [&](RunNumber number) {
      Commit({PutRun{
          CreatedAt(number, static_cast<StoredTime>(Uniform(random, 0, 9)))}});
    };
    for (RunNumber i = 1; i <= 60; ++i) {
      put(i);
      (OneIn(random, 2) ? stay : others).insert(i);
    }
    RunNumber next_number = 61;
    std::multiset<RunNumber> seen;
    RowQuery query =
        Newest({.tenant = "t", .count_max = Uniform(random, 1, 7)});
    while (true) {
      const auto page = store_->Query(query);
      ASSERT_TRUE(page.ok()) << page.status();
      for (const RunRow& row : page->rows) seen.insert(row.number);
      ASSERT_LE(seen.size(), 100u) << "it goes round in circles";
      if (!page->next) break;
      query.after = page->next;
      if (others.erase(page->next->number) != 0) {
        Commit({EraseRun{page->next->number}});
      } else if (!others.empty()) {
        Commit({EraseRun{*others.begin()}});
        others.erase(others.begin());
      }
      const auto changed =
          stay.lower_bound(static_cast<RunNumber>(Uniform(random, 0, 60)));
      if (changed != stay.end()) {
        Commit({UpdateRun{
            *changed, static_cast<int32_t>(random() % 9),
            OneIn(random, 2) ? std::optional<StoredTime>(5) : std::nullopt,
            "s"}});
      }
      if (next_number < 80) put(next_number++);
    }
    for (const RunNumber number : stay) {
      EXPECT_EQ(seen.count(number), 1u) << number;
    }
    for (const RunNumber number : seen) {
      EXPECT_EQ(seen.count(number), 1u) << number;
    }
  });
}

// ---- Counts -----------------------------------------------------------------

TEST_P(StoreConformance, CountsSayHowManyMatchByStatus) {
  const auto put = [&](RunNumber number, int32_t status, std::string tenant) {
    RunRow row = CreatedAt(number, 10 * number);
    row.status = status;
    row.tenant = std::move(tenant);
    row.summary = number % 2 == 0 ? "even" : "odd";
    Commit({PutRun{row}});
  };
  for (RunNumber number = 1; number <= 6; ++number) {
    put(number, number < 4 ? 1 : 5, "t");
  }
  put(7, 9, "t2");
  const auto counts = [&](const RowQuery& query) {
    const auto all = CountAll(*store_, query);
    EXPECT_TRUE(all.ok()) << all.status();
    return all.ok() ? all->by_status : std::map<int32_t, int64_t>();
  };
  EXPECT_THAT(counts({.tenant = "t"}),
              UnorderedElementsAre(Pair(1, 3), Pair(5, 3)));
  EXPECT_THAT(counts({.tenant = "t2"}), UnorderedElementsAre(Pair(9, 1)));
  EXPECT_THAT(counts({.tenant = "nobody"}), IsEmpty());
  EXPECT_THAT(counts({.tenant = "t", .statuses = {5}, .created_to = 50}),
              UnorderedElementsAre(Pair(5, 2)));
  EXPECT_THAT(counts({.tenant = "t", .id_prefix = "id-2"}),
              UnorderedElementsAre(Pair(1, 1)));
  EXPECT_THAT(
      counts({.tenant = "t",
              .created_from = 30,
              .summary =
                  [](std::string_view summary) { return summary == "even"; }}),
      UnorderedElementsAre(Pair(5, 2)));
  Commit({UpdateRun{1, 5, 100, "s"}, EraseRun{2}});
  EXPECT_THAT(counts({.tenant = "t"}),
              UnorderedElementsAre(Pair(1, 1), Pair(5, 4)));
}

// ---- Random -----------------------------------------------------------------

// Goal: no order of changes makes the two orders or the counts differ in what
// they contain. Method: apply random batches; compare with the list in order of
// numbers, which is compared with a model elsewhere.
TEST_P(StoreConformance, OrdersAndCountsHaveTheSameInstances) {
  ForEachSeed(10, [this](Random& random) {
    Clear(StoreModel::Tenants());
    StoreModel model;
    RunNumber next_number = 1;
    for (int batch = 0; batch < 60; ++batch) {
      const std::vector<Change> changes = model.RandomStep(random, next_number);
      model.Commit(changes);
      Commit(changes);
      for (const std::string& tenant : StoreModel::Tenants()) {
        std::vector<RunRow> rows = Rows({.tenant = tenant});
        std::map<int32_t, int64_t> counts;
        for (const RunRow& row : rows) ++counts[row.status];
        std::sort(rows.begin(), rows.end(),
                  [](const RunRow& a, const RunRow& b) {
                    return std::pair(a.created, a.number) >
                           std::pair(b.created, b.number);
                  });
        const size_t count = Uniform(random, 1, 5);
        ASSERT_EQ(Rows(Newest({.tenant = tenant, .count_max = count})), rows)
            << "after batch " << batch;
        ASSERT_EQ(CountAll(*store_, {.tenant = tenant})->by_status, counts)
            << "after batch " << batch;
      }
    }
  });
}

}  // namespace
}  // namespace leasehold
