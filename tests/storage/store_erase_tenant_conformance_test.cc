// What is erased with a tenant, in the suite for every Store: all that is its
// own, and nothing else.
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/store_conformance.h"
#include "tests/storage/store_dump.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Tenants whose names begin alike, and the one without a name.
const std::vector<std::string>& Others() {
  static const std::vector<std::string> kOthers = {"", "T", "t\x01", "tt"};
  return kOthers;
}

// One row of everything that a tenant may have. The numbers are from `first`
// on; the IDs are the same in each tenant.
std::vector<Change> AllOf(const std::string& tenant, RunNumber first) {
  const auto run = [&](RunNumber number, std::string id) {
    RunRow row = Row(number, std::move(id));
    row.tenant = tenant;
    return PutRun{row};
  };
  EntityRow awake{.tenant = tenant,
                  .id = "@e@awake",
                  .number = first + 5,
                  .modified = 7,
                  .header = "header",
                  .state = "state"};
  EntityRow asleep = awake;
  asleep.id = "@e@asleep";
  asleep.number = 0;
  return {// A replaced run, and the one that replaced it.
          run(first, "again"), AppendHistory{first, 0, "before"},
          run(first + 1, "again"), AppendHistory{first + 1, 0, "after"},
          // One that has ended, and one that waits for things.
          run(first + 2, "ended"), AppendHistory{first + 2, 0, "events"},
          UpdateRun{first + 2, 5, 99, "done"}, run(first + 3, "open"),
          AppendHistory{first + 3, 0, "events"},
          PutMessage{{first + 3, 1, "", "event"}}, PutTimer{{first + 3, 2, 50}},
          PutTask{{first + 3, 3, "task"}},
          PutRequest{{tenant, "r", "ended", "receipt"}},
          // Its instance is gone, or was never there.
          PutRequest{{tenant, "lost", "none", "receipt"}}, PutEntity{awake},
          PutOperation{{first + 5, 1, "operation"}}, PutEntity{asleep},
          PutCall{{.tenant = tenant,
                   .request = "r",
                   .ended = 9,
                   .id = "@e@awake",
                   .outcome = "outcome"}}};
}

class StoreEraseTenantConformance : public StoreConformance {
 protected:
  std::vector<std::string> DumpAll() {
    std::vector<std::string> tenants = Others();
    tenants.push_back("t");
    const auto dump = Dump(*store_, tenants, {"r", "lost", "setting"});
    EXPECT_TRUE(dump.ok()) << dump.status();
    return dump.ok() ? *dump : std::vector<std::string>();
  }
};

TEST_P(StoreEraseTenantConformance, NothingOfATenantIsLeft) {
  Commit(AllOf("t", 1));
  Commit({EraseTenant{"t"}});
  EXPECT_THAT(DumpAll(), ElementsAre("last number 0"));
  for (RunNumber number = 1; number <= 6; ++number) {
    EXPECT_THAT(History(number), IsEmpty()) << number;
    // No part of an instance that had the number is left, either.
    Commit({PutRun{Row(number, std::to_string(number))}});
  }
  for (const OpenRun& open : Open()) {
    EXPECT_THAT(open.messages, IsEmpty());
    EXPECT_THAT(open.timers, IsEmpty());
    EXPECT_THAT(open.tasks, IsEmpty());
  }
}

// The rows of the others lie before, between and behind its own.
TEST_P(StoreEraseTenantConformance, OfAnyOtherTenantAllIsLeft) {
  Commit({PutSetting{"setting", "value"},
          PutOutbox{{.ordinal = 1, .body = "letter"}}});
  RunNumber next = 1;
  const auto next_ten = [&next] { return (next += 10) - 10; };
  const RunNumber first = next_ten();
  std::vector<RunNumber> between;
  for (const std::string& tenant : Others()) {
    Commit(AllOf(tenant, next_ten()));
    between.push_back(next_ten());
  }
  Commit(AllOf("", next_ten()));
  const std::vector<std::string> before = DumpAll();
  Commit(AllOf("t", first));
  for (const RunNumber number : between) Commit(AllOf("t", number));
  ASSERT_NE(DumpAll(), before);
  Commit({EraseTenant{"t"}});
  EXPECT_EQ(DumpAll(), before);
  Commit({EraseTenant{"t"}, EraseTenant{"unknown"}});
  EXPECT_EQ(DumpAll(), before);
  // Also for whoever opens the store next.
  ASSERT_TRUE(writer_.Open(*store_).ok());
  EXPECT_EQ(DumpAll(), before);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreEraseTenantConformance,
                         testing::ValuesIn(StoreKinds()),
                         [](const testing::TestParamInfo<StoreKind>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace leasehold
