#include "service/orchestration/lookups.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/orchestration/directory.h"
#include "service/storage/memory_store.h"
#include "tests/support/manual_executor.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class LookupsTest : public testing::Test {
 protected:
  // Notes its name when it runs; the test ends it.
  Lookups::Lookup Named(std::string name) {
    return [this, name](absl::StatusOr<std::optional<RunRow>> row, uint64_t) {
      EXPECT_FALSE(row.ok() && row->has_value());  // The store is empty.
      ran_.push_back(name);
    };
  }

  const InstanceKey a_ = TestKey("a");
  const InstanceKey b_ = TestKey("b");
  MemoryStore store_;
  ManualExecutor readers_;
  Lookups lookups_{store_, readers_};
  std::vector<std::string> ran_;
};

TEST_F(LookupsTest, RunOneAtATimeForEachKey) {
  lookups_.Add(a_, Named("a 1"));
  lookups_.Add(a_, Named("a 2"));
  lookups_.Add(b_, Named("b 1"));
  EXPECT_THAT(ran_, IsEmpty());
  readers_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("a 1", "b 1"));
  lookups_.End(a_, lookups_.reload());
  readers_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("a 1", "b 1", "a 2"));
}

TEST_F(LookupsTest, AnEndOfItsKeyMakesTheRunningOneOutdated) {
  const uint64_t reload = lookups_.reload();
  lookups_.Add(a_, Named("1"));
  lookups_.Add(a_, Named("2"));
  EXPECT_FALSE(lookups_.IsOutdated(a_, reload));
  lookups_.OnEnd(Directory::NameOf(b_));
  EXPECT_FALSE(lookups_.IsOutdated(a_, reload));
  lookups_.OnEnd(Directory::NameOf(a_));
  EXPECT_TRUE(lookups_.IsOutdated(a_, reload));
  // The next one reads what is so now.
  lookups_.End(a_, reload);
  EXPECT_FALSE(lookups_.IsOutdated(a_, reload));
}

TEST_F(LookupsTest, OneThatHasEndedIsOutdated) {
  lookups_.Add(a_, Named("1"));
  readers_.RunAll();
  lookups_.End(a_, lookups_.reload());
  EXPECT_TRUE(lookups_.IsOutdated(a_, lookups_.reload()));
}

TEST_F(LookupsTest, ANewEpochForgetsThemAndTheRunningOneFindsOut) {
  const uint64_t before = lookups_.reload();
  lookups_.Add(a_, Named("running"));
  lookups_.Add(a_, Named("waiting"));
  EXPECT_THAT(lookups_.BeginReload(), SizeIs(1));
  EXPECT_NE(lookups_.reload(), before);
  readers_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("running"));
  EXPECT_TRUE(lookups_.IsOutdated(a_, before));

  // Its end does not end one of the new reload.
  lookups_.Add(a_, Named("new"));
  lookups_.Add(a_, Named("newer"));
  lookups_.End(a_, before);
  EXPECT_FALSE(lookups_.IsOutdated(a_, lookups_.reload()));
  readers_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("running", "new"));
}

// ---- While a tenant is wiped ------------------------------------------------

TEST_F(LookupsTest, WhileItsTenantIsWipedNoneBegins) {
  const uint64_t reload = lookups_.reload();
  const InstanceKey other{.tenant = "other", .id = "a"};
  lookups_.Add(a_, Named("a 1"));
  lookups_.Add(a_, Named("a 2"));
  lookups_.Add(other, Named("other"));
  lookups_.Hold(a_.tenant);
  EXPECT_TRUE(lookups_.IsHeld(a_.tenant));
  EXPECT_TRUE(lookups_.IsOutdated(a_, reload));
  EXPECT_FALSE(lookups_.IsHeld("other"));
  EXPECT_FALSE(lookups_.IsOutdated(other, reload));
  lookups_.Add(b_, Named("b 1"));
  readers_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("a 1", "other"));
  lookups_.End(a_, reload);
  lookups_.End(other, reload);
  readers_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("a 1", "other"));

  lookups_.Release(a_.tenant);
  EXPECT_FALSE(lookups_.IsHeld(a_.tenant));
  readers_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("a 1", "other", "b 1", "a 2"));
  EXPECT_FALSE(lookups_.IsOutdated(a_, reload));
  EXPECT_FALSE(lookups_.IsOutdated(b_, reload));
}

TEST_F(LookupsTest, TheyBeginAfterTheLastOfSeveralWipes) {
  lookups_.Hold(a_.tenant);
  lookups_.Add(a_, Named("1"));
  lookups_.Hold(a_.tenant);
  lookups_.Release(a_.tenant);
  readers_.RunAll();
  EXPECT_THAT(ran_, IsEmpty());
  lookups_.Release(a_.tenant);
  readers_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("1"));
}

TEST_F(LookupsTest, AReloadForgetsThoseThatWaitForAWipe) {
  lookups_.Hold(a_.tenant);
  lookups_.Add(a_, Named("1"));
  EXPECT_THAT(lookups_.BeginReload(), SizeIs(1));
  EXPECT_FALSE(lookups_.IsHeld(a_.tenant));
  lookups_.Release(a_.tenant);  // The wipe's commit is known too late.
  lookups_.Add(a_, Named("2"));
  readers_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("2"));
}

}  // namespace
}  // namespace leasehold
