// Services with providers of their own, and contexts that they share.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/context_lease.h"
#include "service/instance/per_call_provider.h"
#include "service/instance/provider_sets.h"
#include "service/instance/session_provider.h"
#include "service/instance/single_provider.h"
#include "tests/instance/instance_fakes.h"

namespace leasehold {
namespace {

using testing::Contains;
using testing::Not;

class ServiceProvidersTest : public InstanceRegistryTest {
 protected:
  static InstanceRequest Of(InstanceContextProvider* provider,
                            std::string_view id = "room-1") {
    InstanceRequest request = RequestFor(id);
    request.provider = provider;
    return request;
  }
  void UseBy(InstanceContextProvider* provider) {
    FakeCall call(Of(provider));
    call.Ask(registry());
    executor_.RunAll();
    ASSERT_TRUE(call.status().ok());
    call.Finish();
    executor_.RunAll();
  }
  size_t Open() { return registry().size(); }

  SessionProvider session_;
  SingleProvider single_;
  PerCallProvider per_call_;
};

TEST_F(ServiceProvidersTest, EachServiceHasTheContextsOfItsOwnProvider) {
  UseBy(&shared_);
  EXPECT_EQ(Open(), 1u);
  {
    FakeCall call(Of(&per_call_));
    call.Ask(registry());
    EXPECT_NE(call.context().id(), "room-1");
    EXPECT_FALSE(call.context().leased());
    EXPECT_EQ(Open(), 2u);
    call.Finish();
  }
  executor_.RunAll();
  EXPECT_EQ(Open(), 1u);
  UseBy(&single_);
  EXPECT_EQ(Open(), 2u);
  Pass(kTimeout);
  EXPECT_EQ(Open(), 1u);  // `single` stays.
  Pass(absl::Hours(1000));
  EXPECT_EQ(Open(), 1u);
}

TEST_F(ServiceProvidersTest, ASessionOfAServiceEndsWithItsLastPin) {
  UseBy(&session_);
  EXPECT_EQ(Open(), 0u);
  EXPECT_THAT(TakeJournal(), Not(Contains("expired room-1")));
}

TEST_F(ServiceProvidersTest, AContextOfTwoServicesHasALeaseIfOneWantsIt) {
  FakeCall first(Of(&session_));
  first.Ask(registry());
  EXPECT_FALSE(first.context().leased());
  UseBy(&shared_);
  EXPECT_TRUE(first.context().leased());
  first.Finish();
  executor_.RunAll();
  EXPECT_EQ(Open(), 1u);
  Pass(kTimeout - kTick);
  EXPECT_EQ(Open(), 1u);
  Pass(kTick);
  EXPECT_EQ(Open(), 0u);
  EXPECT_THAT(TakeJournal(), Contains("expired room-1"));
}

TEST_F(ServiceProvidersTest, OneThatWantsALeaseBeforeTheContextIsOpenGetsIt) {
  FakeInitializer initializer;  // It opens later, on the executor.
  initializers_ = {&initializer};
  FakeCall first(Of(&session_));
  FakeCall second(Of(&shared_));
  first.Ask(registry());
  second.Ask(registry());
  executor_.RunAll();
  first.Finish();
  second.Finish();
  executor_.RunAll();
  EXPECT_EQ(Open(), 1u);
  Pass(kTimeout);
  EXPECT_EQ(Open(), 0u);
  Shutdown();
  executor_.RunAll();
  registry_.reset();  // Before its initializer.
}

TEST_F(ServiceProvidersTest, EachProviderOfAContextHasAVeto) {
  FakeProvider first(/*leased=*/true);
  FakeProvider second(/*leased=*/false);
  first.idle = false;
  second.idle = false;
  UseBy(&first);
  UseBy(&second);
  UseBy(&first);
  Pass(kTimeout);
  EXPECT_EQ(Open(), 1u);
  EXPECT_GE(first.asked, 1);
  EXPECT_EQ(second.asked, 0);  // One veto is enough.
  first.idle = true;
  first.callbacks.back()();
  executor_.RunAll();
  EXPECT_EQ(Open(), 1u);
  EXPECT_GE(second.asked, 1);
  second.idle = true;
  second.callbacks.back()();
  executor_.RunAll();
  EXPECT_EQ(Open(), 0u);
  registry_->Shutdown([this] { ++done_; });
  shut_down_ = true;
  executor_.RunAll();
  registry_.reset();  // Before its providers.
}

TEST_F(ServiceProvidersTest, OneWithoutAProviderHasNoSayInAContextThatIsThere) {
  FakeCall session(Of(&session_));
  session.Ask(registry());
  UseBy(nullptr);  // As Leasehold's own services.
  EXPECT_FALSE(session.context().leased());
  session.Finish();
  executor_.RunAll();
  EXPECT_EQ(Open(), 0u);
  UseBy(nullptr);  // One that it creates has the server's.
  EXPECT_EQ(Open(), 1u);
  Pass(kTimeout);
  EXPECT_EQ(Open(), 0u);
}

TEST_F(ServiceProvidersTest, AProviderThatComesWhileAnotherIsAskedKeepsIt) {
  FakeProvider asked(/*leased=*/true);
  FakeProvider late(/*leased=*/true);
  late.idle = false;
  UseBy(&asked);
  bool came = false;
  asked.meanwhile = [&](InstanceContext&) {
    if (std::exchange(came, true)) return;
    FakeCall call(Of(&late));
    call.Ask(registry());
    call.Finish();
  };
  Pass(kTimeout);
  EXPECT_EQ(Open(), 1u);
  Pass(kTimeout);
  EXPECT_EQ(Open(), 1u);
  EXPECT_GE(late.asked, 1);
  Shutdown();
  executor_.RunAll();
  registry_.reset();  // Before its providers.
}

TEST(ProviderSets, HasOneSetForTheSameProviders) {
  SharedProvider shared;
  SessionProvider session;
  SingleProvider single;
  ProviderSets sets(shared);
  const ProviderSet& both = sets.Union(sets.server(), sets.Of(session));
  EXPECT_EQ(&sets.Of(shared), &sets.server());
  EXPECT_EQ(&sets.Union(sets.server(), sets.Of(session)), &both);
  EXPECT_EQ(&sets.Union(both, sets.Of(session)), &both);
  EXPECT_TRUE(both.leased);
  EXPECT_FALSE(sets.Union(sets.Of(single), sets.Of(session)).leased);
}

}  // namespace
}  // namespace leasehold
