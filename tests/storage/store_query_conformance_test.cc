// The queries in the suite for every Store.
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/row_match.h"
#include "tests/storage/store_conformance.h"
#include "tests/storage/store_model.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// ---- Query ------------------------------------------------------------------

TEST_P(StoreConformance, QueryHoldsAllConditionsAtOnce) {
  const auto put = [&](RunNumber number, std::string id, int32_t status,
                       StoredTime created, std::optional<StoredTime> finished) {
    Commit(
        {PutRun{{number, "t", std::move(id), status, created, finished, "s"}}});
  };
  put(1, "order-1", 1, 10, std::nullopt);
  put(2, "order-2", 2, 20, 21);
  put(3, "other", 1, 30, 31);
  put(4, "order", 3, 40, std::nullopt);
  const auto numbers = [&](RowQuery query) { return Numbers(Rows(query)); };
  EXPECT_THAT(numbers({.tenant = "t"}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(numbers({.tenant = "t", .statuses = {1}}), ElementsAre(1, 3));
  EXPECT_THAT(numbers({.tenant = "t", .statuses = {3, 2, 9}}),
              ElementsAre(2, 4));
  EXPECT_THAT(numbers({.tenant = "t", .created_from = 20}),
              ElementsAre(2, 3, 4));
  EXPECT_THAT(numbers({.tenant = "t", .created_to = 20}), ElementsAre(1, 2));
  EXPECT_THAT(numbers({.tenant = "t", .created_from = 20, .created_to = 30}),
              ElementsAre(2, 3));
  EXPECT_THAT(numbers({.tenant = "t", .id_prefix = "order"}),
              ElementsAre(1, 2, 4));
  EXPECT_THAT(numbers({.tenant = "t", .id_prefix = "order-"}),
              ElementsAre(1, 2));
  EXPECT_THAT(numbers({.tenant = "t", .id_prefix = "order-11"}), IsEmpty());
  EXPECT_THAT(numbers({.tenant = "t", .finished_only = true}),
              ElementsAre(2, 3));
  EXPECT_THAT(numbers({.tenant = "t", .after = RowPosition{2}}),
              ElementsAre(3, 4));
  EXPECT_THAT(numbers({.tenant = "t",
                       .statuses = {1, 2},
                       .created_from = 15,
                       .id_prefix = "o",
                       .finished_only = true,
                       .after = RowPosition{1}}),
              ElementsAre(2, 3));
  EXPECT_THAT(Rows({.tenant = "T"}), IsEmpty());
}

TEST_P(StoreConformance, IdPrefixIsBytesAndNoPattern) {
  std::vector<Change> changes;
  const std::vector<std::string> ids = {
      "a%b", "a_b", "axb", std::string("a\0b", 3), "a\xff\xff", "A%b", "*"};
  for (size_t i = 0; i < ids.size(); ++i) {
    changes.push_back(PutRun{Row(static_cast<int64_t>(i) + 1, ids[i])});
  }
  Commit(changes);
  const auto numbers = [&](std::string prefix) {
    return Numbers(Rows({.tenant = "t", .id_prefix = std::move(prefix)}));
  };
  EXPECT_THAT(numbers("a%"), ElementsAre(1));
  EXPECT_THAT(numbers("a_"), ElementsAre(2));
  EXPECT_THAT(numbers(std::string("a\0", 2)), ElementsAre(4));
  EXPECT_THAT(numbers("a\xff"), ElementsAre(5));
  EXPECT_THAT(numbers("*"), ElementsAre(7));
}

TEST_P(StoreConformance, QueryPagesHaveNoMoreThanAskedFor) {
  std::vector<Change> changes;
  for (int i = 1; i <= 10; ++i) {
    changes.push_back(PutRun{Row(i, std::to_string(i))});
  }
  Commit(changes);
  const auto page = store_->Query({.tenant = "t", .count_max = 4});
  EXPECT_THAT(Numbers(page->rows), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(page->next, (RowPosition{4, 104}));
  const auto rest =
      store_->Query({.tenant = "t", .after = RowPosition{8}, .count_max = 4});
  EXPECT_THAT(Numbers(rest->rows), ElementsAre(9, 10));
  EXPECT_EQ(rest->next, std::nullopt);
}

// Between pages instances are created, changed, finished and erased. Those that
// exist all the time are in exactly one page.
TEST_P(StoreConformance, QueryPagesShowWhatStaysExactlyOnce) {
  ForEachSeed(20, [this](Random& random) {
    Commit({EraseTenant{"t"}});
    std::set<RunNumber> stay;
    std::set<RunNumber> others;
    for (RunNumber i = 1; i <= 60; ++i) {
      Commit({PutRun{Row(i, std::to_string(i))}});
      (OneIn(random, 2) ? stay : others).insert(i);
    }
    RunNumber next_number = 61;
    std::multiset<RunNumber> seen;
    RowQuery query = {.tenant = "t", .count_max = Uniform(random, 1, 7)};
    while (true) {
      const auto page = store_->Query(query);
      ASSERT_TRUE(page.ok()) << page.status();
      for (const RunRow& row : page->rows) seen.insert(row.number);
      if (!page->next) break;
      query.after = page->next;
      for (const RunNumber number : stay) {
        const bool finish = OneIn(random, 3);
        Commit({UpdateRun{number, static_cast<int32_t>(random() % 9),
                          finish ? std::optional<StoredTime>(5) : std::nullopt,
                          "s"}});
        if (OneIn(random, 4)) break;
      }
      if (!others.empty()) {
        Commit({EraseRun{*others.begin()}});
        others.erase(others.begin());
      }
      if (next_number < 80) {
        Commit({PutRun{Row(next_number, std::to_string(next_number))}});
        ++next_number;
      }
    }
    for (const RunNumber number : stay) {
      EXPECT_EQ(seen.count(number), 1u) << number;
    }
    for (const RunNumber number : seen) {
      EXPECT_EQ(seen.count(number), 1u) << number;
    }
  });
}

// ---- ListFinished -----------------------------------------------------------

TEST_P(StoreConformance, FinishedComeInOrderOfTheirTime) {
  Commit({PutRun{FinishedRow(1, 30)}, PutRun{FinishedRow(2, 10)},
          PutRun{FinishedRow(3, 30)}, PutRun{Row(4, "open")},
          PutRun{FinishedRow(5, -7)}, PutRun{FinishedRow(6, 20)}});
  const auto numbers = [&](FinishedQuery query) {
    return Numbers(Finished(query));
  };
  EXPECT_THAT(numbers({.tenant = "t"}), ElementsAre(5, 2, 6, 1, 3));
  EXPECT_THAT(numbers({.tenant = "t", .count_max = 1}),
              ElementsAre(5, 2, 6, 1, 3));
  EXPECT_THAT(numbers({.tenant = "t", .finished_from = 10}),
              ElementsAre(2, 6, 1, 3));
  EXPECT_THAT(numbers({.tenant = "t", .finished_to = 30}),
              ElementsAre(5, 2, 6));
  EXPECT_THAT(numbers({.tenant = "t", .finished_from = 11, .finished_to = 21}),
              ElementsAre(6));
  EXPECT_THAT(numbers({.tenant = "t", .finished_from = 21, .finished_to = 11}),
              IsEmpty());
  EXPECT_THAT(numbers({.tenant = "t", .after = {{10, 2}}}),
              ElementsAre(6, 1, 3));
  EXPECT_THAT(numbers({.tenant = "t", .after = {{10, 1}}}),
              ElementsAre(2, 6, 1, 3));
  EXPECT_THAT(numbers({.tenant = "t", .after = {{30, 1}}}), ElementsAre(3));
  EXPECT_THAT(numbers({.tenant = "t", .after = {{30, 3}}}), IsEmpty());
  EXPECT_THAT(numbers({.tenant = "t", .finished_from = 30, .after = {{10, 2}}}),
              ElementsAre(1, 3));
  EXPECT_THAT(numbers({.tenant = "t", .finished_from = 10, .after = {{30, 1}}}),
              ElementsAre(3));
  EXPECT_THAT(Finished({.tenant = "T"}), IsEmpty());
}

TEST_P(StoreConformance, FinishedCanBeChosenByStatus) {
  Commit({PutRun{Row(1, "a")}, PutRun{Row(2, "b")}, PutRun{Row(3, "c")}});
  Commit({UpdateRun{1, 5, 10, "s"}, UpdateRun{2, 6, 20, "s"},
          UpdateRun{3, 7, 30, "s"}});
  EXPECT_THAT(Numbers(Finished({.tenant = "t", .statuses = {5, 7}})),
              ElementsAre(1, 3));
}

TEST_P(StoreConformance, FinishedOfAllTenantsAreListedIfThatIsSaid) {
  RunRow other = FinishedRow(2, 20);
  other.tenant = "other";
  Commit({PutRun{FinishedRow(1, 10)}, PutRun{other}, PutRun{Row(3, "open")},
          PutRun{FinishedRow(4, 30)}});
  EXPECT_THAT(Numbers(Finished({.tenant = "t"})), ElementsAre(1, 4));
  EXPECT_THAT(Numbers(Finished({.tenant = ""})), IsEmpty());
  EXPECT_THAT(Numbers(Finished({.tenant = std::string(kEveryTenant)})),
              ElementsAre(1, 2, 4));
  EXPECT_THAT(Numbers(Finished({.tenant = std::string(kEveryTenant),
                                .finished_to = 30,
                                .after = FinishedQuery::Position{10, 1},
                                .count_max = 1})),
              ElementsAre(2));
}

TEST_P(StoreConformance, FinishedAtTheEndsOfTimeAreListed) {
  constexpr StoredTime kFirst = std::numeric_limits<StoredTime>::min();
  constexpr StoredTime kLast = std::numeric_limits<StoredTime>::max();
  Commit({PutRun{FinishedRow(1, kLast)}, PutRun{FinishedRow(2, kLast)},
          PutRun{FinishedRow(3, kFirst)}});
  EXPECT_THAT(Numbers(Finished({.tenant = "t", .count_max = 1})),
              ElementsAre(3, 1, 2));
  EXPECT_THAT(Numbers(Finished({.tenant = "t", .finished_to = kLast})),
              ElementsAre(3));
}

TEST_P(StoreConformance, FinishedPagesShowWhatStaysExactlyOnce) {
  ForEachSeed(20, [this](Random& random) {
    Commit({EraseTenant{"t"}});
    std::set<RunNumber> stay;
    std::set<RunNumber> others;
    for (RunNumber i = 1; i <= 60; ++i) {
      Commit({PutRun{
          FinishedRow(i, static_cast<StoredTime>(Uniform(random, 0, 9)))}});
      (OneIn(random, 2) ? stay : others).insert(i);
    }
    RunNumber next_number = 61;
    std::multiset<RunNumber> seen;
    FinishedQuery query = {.tenant = "t", .count_max = Uniform(random, 1, 7)};
    while (true) {
      const auto page = store_->ListFinished(query);
      ASSERT_TRUE(page.ok()) << page.status();
      for (const RunRow& row : page->rows) seen.insert(row.number);
      if (!page->next) break;
      query.after = page->next;
      if (!others.empty()) {
        Commit({EraseRun{*others.begin()}});
        others.erase(others.begin());
      }
      if (next_number < 80) {
        Commit({PutRun{FinishedRow(
            next_number++, static_cast<StoredTime>(Uniform(random, 0, 9)))}});
      }
    }
    for (const RunNumber number : stay) {
      EXPECT_EQ(seen.count(number), 1u) << number;
    }
  });
}

// ---- Random -----------------------------------------------------------------

// Goal: no order of changes breaks the contract. Method: apply random batches
// to the store and to lists of rows; compare everything that can be read after
// each.
TEST_P(StoreConformance, HoldsWhatANaiveModelHolds) {
  ForEachSeed(20, [this](Random& random) {
    Clear(StoreModel::Tenants());
    Commit({PutSetting{"a", ""}, PutSetting{"b", ""},
            PutSetting{std::string("a\0", 2), ""}});
    StoreModel model;
    model.Commit({PutSetting{"a", ""}, PutSetting{"b", ""},
                  PutSetting{std::string("a\0", 2), ""}});
    RunNumber next_number = 1;
    for (int batch = 0; batch < 60; ++batch) {
      std::vector<Change> changes;
      for (uint64_t i = Uniform(random, 1, 12); i > 0; --i) {
        const std::vector<Change> step = model.RandomStep(random, next_number);
        model.Commit(step);
        changes.insert(changes.end(), step.begin(), step.end());
      }
      Commit(changes);
      const auto dump =
          Dump(*store_, StoreModel::Tenants(), StoreModel::Names());
      ASSERT_TRUE(dump.ok()) << dump.status();
      ASSERT_EQ(*dump, model.Dump()) << "after batch " << batch;
      for (const std::string& tenant : StoreModel::Tenants()) {
        ASSERT_EQ(store_->StoredBytes(tenant), model.StoredBytes(tenant))
            << "after batch " << batch;
        ASSERT_EQ(store_->run_counts().Of(tenant), model.Runs(tenant))
            << "after batch " << batch;
      }
    }
  });
}

}  // namespace
}  // namespace leasehold
