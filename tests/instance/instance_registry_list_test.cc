// InstanceRegistry::List: pages of contexts, whatever comes and goes between
// them.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/context_table.h"
#include "tests/instance/admin_fixture.h"
#include "tests/support/seed.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

using Code = absl::StatusCode;

class ListTest : public AdminTest {
 protected:
  static InstanceQuery Query(size_t page_size) {
    InstanceQuery query;
    query.page_size = page_size;
    return query;
  }

  // The IDs of all pages, in their order. `between` runs between two pages.
  std::vector<std::string> ListAll(
      InstanceQuery query, const std::function<void()>& between = [] {},
      std::string_view tenant = kTestTenant) {
    std::vector<std::string> ids;
    for (int pages = 0;; ++pages) {
      const absl::StatusOr<InstancePage> page = registry().List(tenant, query);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || pages > 1'000) return ids;
      EXPECT_LE(page->instances.size(), std::max<size_t>(query.page_size, 1));
      for (const InstanceInfo& info : page->instances) {
        ids.push_back(info.key.id);
      }
      if (page->next_page_token.empty()) return ids;
      query.page_token = page->next_page_token;
      between();
    }
  }

  // `count` IDs whose contexts belong to one shard.
  static std::vector<std::string> IdsOfOneShard(size_t count) {
    std::vector<std::string> ids;
    for (int i = 0; ids.size() < count; ++i) {
      const std::string id = absl::StrCat("one-shard-", i);
      const size_t hash = ContextTable::View(RequestFor(id).key).hash;
      if (ContextTable::ShardIndex(hash) == 5) ids.push_back(id);
    }
    return ids;
  }
};

TEST_F(ListTest, EmptyRegistryHasOnePageWithNothing) {
  const absl::StatusOr<InstancePage> page =
      registry().List(kTestTenant, Query(10));
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(page->instances, IsEmpty());
  EXPECT_EQ(page->next_page_token, "");
}

TEST_F(ListTest, EachContextIsOnOnePage) {
  std::set<std::string> ids;
  for (int i = 0; i < 300; ++i) {
    ids.insert(absl::StrCat("room-", i));
    Use(absl::StrCat("room-", i));
  }
  for (const size_t page_size : {1, 7, 100, 300, 1000}) {
    std::vector<std::string> listed = ListAll(Query(page_size));
    EXPECT_EQ(listed.size(), ids.size()) << page_size;
    EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()), ids)
        << page_size;
  }
}

TEST_F(ListTest, PageThatIsNotTheLastIsFull) {
  for (int i = 0; i < 50; ++i) Use(absl::StrCat("room-", i));
  const absl::StatusOr<InstancePage> page =
      registry().List(kTestTenant, Query(20));
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->instances.size(), 20u);
  EXPECT_NE(page->next_page_token, "");
}

TEST_F(ListTest, PageMayEndInTheMiddleOfAShard) {
  const std::vector<std::string> ids = IdsOfOneShard(10);
  for (const std::string& id : ids) Use(id);
  EXPECT_THAT(ListAll(Query(3)), testing::UnorderedElementsAreArray(ids));
}

TEST_F(ListTest, PageSizeIsAtLeastOneAndAtMostAThousand) {
  for (int i = 0; i < 1001; ++i) Use(absl::StrCat("room-", i));
  EXPECT_EQ(registry().List(kTestTenant, Query(0))->instances.size(), 1u);
  EXPECT_EQ(registry().List(kTestTenant, Query(5000))->instances.size(), 1000u);
}

// Goal: a context that stays open is listed exactly once, whatever comes and
// goes between two pages. Method: sixty contexts stay; between two pages others
// are created and released at random, which moves the rest within their shards.
TEST_F(ListTest, ContextThatStaysIsListedOnceWhileOthersComeAndGo) {
  ForEachSeed(20, [this](Random& random) {
    std::multiset<std::string> stay;
    std::vector<std::string> others;
    for (int i = 0; i < 120; ++i) {
      const std::string id = absl::StrCat(i, "-", random());
      Use(id);
      if (i % 2 == 0) {
        stay.insert(id);
      } else {
        others.push_back(id);
      }
    }
    const std::vector<std::string> listed = ListAll(Query(5), [&] {
      for (int i = 0; i < 10; ++i) {
        if (!others.empty() && OneIn(random, 2)) {
          std::swap(others[Uniform(random, 0, others.size() - 1)],
                    others.back());
          EXPECT_TRUE(Release(others.back()).ok());
          others.pop_back();
        } else {
          others.push_back(absl::StrCat("new-", random()));
          Use(others.back());
        }
      }
      executor_.RunAll();
    });
    std::multiset<std::string> listed_that_stayed;
    for (const std::string& id : listed) {
      if (stay.contains(id)) listed_that_stayed.insert(id);
    }
    EXPECT_EQ(listed_that_stayed, stay);
    EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()).size(),
              listed.size())
        << "one that came or went was listed twice";
    for (const std::string& id : stay) EXPECT_TRUE(Release(id).ok());
    for (const std::string& id : others) EXPECT_TRUE(Release(id).ok());
    executor_.RunAll();
    TakeJournal();
  });
}

// The same in the hardest case: all in one shard, the listed ones gone.
TEST_F(ListTest, ContextIsListedThoughThoseListedBeforeItAreGone) {
  const std::vector<std::string> ids = IdsOfOneShard(12);
  for (const std::string& id : ids) Use(id);
  std::vector<std::string> listed;
  InstanceQuery query = Query(2);
  do {
    const absl::StatusOr<InstancePage> page =
        registry().List(kTestTenant, query);
    ASSERT_TRUE(page.ok());
    for (const InstanceInfo& info : page->instances) {
      listed.push_back(info.key.id);
      EXPECT_TRUE(Release(info.key.id).ok());
    }
    executor_.RunAll();
    query.page_token = page->next_page_token;
  } while (!query.page_token.empty());
  EXPECT_THAT(listed, testing::UnorderedElementsAreArray(ids));
}

TEST_F(ListTest, PrefixChoosesIds) {
  for (const char* id : {"room-1", "room-2", "roof-1", "my-room-1"}) Use(id);
  InstanceQuery query = Query(1);
  query.id_prefix = "room-";
  EXPECT_THAT(ListAll(query), UnorderedElementsAre("room-1", "room-2"));
}

TEST_F(ListTest, StateChoosesContexts) {
  Use("idle-1");
  Use("idle-2");
  BeginClosing();
  FakeCall busy("busy");
  busy.Ask(registry());
  InstanceQuery query = Query(1);
  query.state = InstanceState::kIdle;
  EXPECT_THAT(ListAll(query), UnorderedElementsAre("idle-1", "idle-2"));
  query.state = InstanceState::kBusy;
  EXPECT_THAT(ListAll(query), ElementsAre("busy"));
  query.state = InstanceState::kClosing;
  EXPECT_THAT(ListAll(query), ElementsAre("room-1"));
  query.state = InstanceState::kOpening;
  EXPECT_THAT(ListAll(query), IsEmpty());
  EndClosing();
}

// Contexts that the filter excludes take no room on a page.
TEST_F(ListTest, PageIsFilledWithWhatTheFilterLetsThrough) {
  std::vector<std::unique_ptr<FakeCall>> calls;
  for (int i = 0; i < 100; ++i) {
    const std::string id = absl::StrCat("room-", i);
    if (i % 10 == 0) {
      calls.push_back(std::make_unique<FakeCall>(id));
      calls.back()->Ask(registry());
    } else {
      Use(id);
    }
  }
  InstanceQuery query = Query(4);
  query.state = InstanceState::kBusy;
  const absl::StatusOr<InstancePage> page = registry().List(kTestTenant, query);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->instances.size(), 4u);
  EXPECT_EQ(ListAll(query).size(), 10u);
}

TEST_F(ListTest, OnlyTheContextsOfTheTenantAreListed) {
  Use("room-1");
  InstanceRequest request = RequestFor("room-2");
  request.key.tenant = "red";
  FakeCall call(request);
  call.Ask(registry());
  const auto nothing = [] {};
  EXPECT_THAT(ListAll(Query(10)), ElementsAre("room-1"));
  EXPECT_THAT(ListAll(Query(10), nothing, "red"), ElementsAre("room-2"));
  EXPECT_THAT(ListAll(Query(10), nothing, "blue"), IsEmpty());
}

TEST_F(ListTest, ATokenThatIsNotOursIsRefused) {
  for (const char* token : {"x", "64", "-1", "1.2.3", "1.", ".5", "1.x", "1. ",
                            "18446744073709551616", "1.18446744073709551616"}) {
    InstanceQuery query = Query(10);
    query.page_token = token;
    const absl::Status status = registry().List(kTestTenant, query).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << token;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("\"", token, "\"")));
  }
}

}  // namespace
}  // namespace leasehold
