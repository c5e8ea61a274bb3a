// Dispatcher: work stays in its tenant.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/dispatch/dispatcher_fixture.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(DispatcherTest, WorkGoesOnlyToWorkersOfItsTenant) {
  TestWork a("a", "", WorkKind::kTurn, "acme");
  TestWork b("a", "", WorkKind::kTurn, "globex");
  dispatcher_.Enqueue(a);
  dispatcher_.Enqueue(b);
  // Not even as a last resort, or by name.
  WorkerOptions resort{.tenant = "globex"};
  resort.filters[0] = Only({{"a", {}}});
  resort.last_resort = true;
  const WorkerId globex = Add(std::move(resort));
  EXPECT_THAT(GiveAll(), ElementsAre(&b));
  EXPECT_EQ(b.worker, globex);
  EXPECT_TRUE(dispatcher_.IsUnwanted(a));
  WorkerOptions named{.tenant = "globex"};
  named.filters[0] = Only({{"a", {}}});
  Add(std::move(named));
  EXPECT_THAT(GiveAll(), IsEmpty());
  // What another tenant's workers say of a name does not count either.
  EXPECT_EQ(dispatcher_.ReachOf(a).workers, 0u);
  EXPECT_EQ(dispatcher_.ReachOf(b).workers, 1u);

  const WorkerId acme = Add({.tenant = "acme"});
  EXPECT_THAT(GiveAll(), ElementsAre(&a));
  EXPECT_EQ(a.worker, acme);
  EXPECT_TRUE(dispatcher_.IsIn("acme", acme));
  EXPECT_FALSE(dispatcher_.IsIn("acme", globex));
}

}  // namespace
}  // namespace leasehold
