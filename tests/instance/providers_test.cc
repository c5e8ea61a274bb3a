// The built-in providers, embedders' own providers, and the lease as an
// extension.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/context_lease.h"
#include "service/instance/held_pin.h"
#include "service/instance/instance_context_provider.h"
#include "service/instance/per_call_provider.h"
#include "service/instance/session_provider.h"
#include "service/instance/single_provider.h"
#include "tests/instance/instance_fakes.h"

namespace leasehold {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

using Code = absl::StatusCode;

InstanceRequest RequestOf(std::string_view tenant, std::string_view id) {
  InstanceRequest request = RequestFor(id);
  request.key.tenant = std::string(tenant);
  return request;
}

// ---- Per session

class SessionProviderTest : public InstanceRegistryTest {
 protected:
  SessionProviderTest() { provider_ = &session_; }
  SessionProvider session_;
};

TEST_F(SessionProviderTest, CallsThatOverlapShareTheContextOfTheirId) {
  FakeCall first("room-1");
  FakeCall second("room-1");
  FakeCall other("room-2");
  for (FakeCall* call : {&first, &second, &other}) call->Ask(registry());
  EXPECT_EQ(&first.context(), &second.context());
  EXPECT_NE(&first.context(), &other.context());
}

TEST_F(SessionProviderTest, ContextEndsWithItsLastPin) {
  FakeCall first("room-1");
  FakeCall second("room-1");
  first.Ask(registry());
  second.Ask(registry());
  first.Finish();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 1u);
  second.Finish();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
  EXPECT_THAT(journal_, ElementsAre("created room-1", "closing room-1 idle",
                                    "closed room-1 idle"));
}

TEST_F(SessionProviderTest, AHoldKeepsTheContextBetweenCalls) {
  FakeCall call("room-1");
  call.Ask(registry());
  auto held =
      std::make_unique<HeldPin>(std::move(call.pin()), PinKind::kHold, nullptr);
  InstanceContext* const context = &**held;
  executor_.RunAll();
  for (int i = 0; i < 3; ++i) {
    Pass(absl::Hours(1));
    FakeCall next("room-1");
    ASSERT_TRUE(next.Ask(registry()));
    EXPECT_EQ(&next.context(), context);
    next.Finish();
    executor_.RunAll();
  }
  held.reset();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(SessionProviderTest, NoLeaseRuns) {
  FakeCall call("room-1");
  call.Ask(registry());
  call.Finish();
  EXPECT_EQ(registry().NextLeaseDue(), Instant::Infinite());
}

TEST_F(SessionProviderTest, CallThatComesBeforeTheDecisionKeepsTheContext) {
  Use("room-1");
  FakeCall first("room-1");
  first.Ask(registry());
  const uint64_t generation = first.context().generation();
  first.Finish();
  FakeCall second("room-1");
  second.Ask(registry());
  executor_.RunAll();
  EXPECT_EQ(second.context().generation(), generation);
}

// ---- Per call

class PerCallProviderTest : public InstanceRegistryTest {
 protected:
  PerCallProviderTest() { provider_ = &per_call_; }
  PerCallProvider per_call_;
};

TEST_F(PerCallProviderTest, EachCallHasAContextOfItsOwnWhateverItNames) {
  std::vector<std::unique_ptr<FakeCall>> calls;
  std::set<std::string> ids;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(std::make_unique<FakeCall>("room-1"));
    calls.back()->Ask(registry());
    EXPECT_TRUE(calls.back()->created());
    ids.insert(std::string(calls.back()->context().id()));
  }
  EXPECT_EQ(ids.size(), 10u);
  EXPECT_FALSE(ids.contains("room-1"));
  EXPECT_EQ(registry().size(), 10u);
}

TEST_F(PerCallProviderTest, ContextEndsWithItsCall) {
  FakeCall first("room-1");
  FakeCall second("room-1");
  first.Ask(registry());
  second.Ask(registry());
  first.Finish();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 1u);
  second.Finish();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
}

TEST_F(PerCallProviderTest, ContextIsOfTheCallersTenant) {
  FakeCall call(RequestOf("red", "room-1"));
  call.Ask(registry());
  EXPECT_EQ(call.context().tenant(), "red");
}

// ---- Single

class SingleProviderTest : public InstanceRegistryTest {
 protected:
  SingleProviderTest() { provider_ = &single_; }
  SingleProvider single_;
};

TEST_F(SingleProviderTest, AllCallsMeetInOneContextWhateverTheyName) {
  FakeCall first("room-1");
  FakeCall second("room-2");
  first.Ask(registry());
  second.Ask(registry());
  EXPECT_TRUE(first.created());
  EXPECT_FALSE(second.created());
  EXPECT_EQ(&first.context(), &second.context());
  EXPECT_EQ(first.context().id(), "single");
}

TEST_F(SingleProviderTest, EachTenantHasItsOwn) {
  FakeCall first(RequestOf("red", "room-1"));
  FakeCall second(RequestOf("blue", "room-1"));
  first.Ask(registry());
  second.Ask(registry());
  EXPECT_NE(&first.context(), &second.context());
}

TEST_F(SingleProviderTest, ContextNeverEndsByItself) {
  Use("room-1");
  Pass(absl::Hours(10'000));
  FakeCall call("room-2");
  call.Ask(registry());
  EXPECT_FALSE(call.created());
}

TEST_F(SingleProviderTest, ShutdownEndsIt) {
  Use("room-1");
  executor_.RunAll();
  Shutdown();
  executor_.RunAll();
  EXPECT_EQ(done_, 1);
}

// ---- An embedder's own

// `room-1/alice` and `room-1/bob` both name `room-1`.
class BeforeTheSlashProvider final : public InstanceContextProvider {
 public:
  std::optional<InstanceKey> KeyOf(const InstanceRequest& request) override {
    const size_t slash = request.key.id.find('/');
    if (slash == std::string::npos) return std::nullopt;
    return InstanceKey{.tenant = request.key.tenant,
                       .id = request.key.id.substr(0, slash)};
  }
  bool Leased() const override { return true; }
  void NotifyIdle(IdleCallback, InstanceContext&) override {}
  bool IsIdle(InstanceContext&) override { return true; }
};

class CustomProviderTest : public InstanceRegistryTest {
 protected:
  CustomProviderTest() { provider_ = &slash_; }
  BeforeTheSlashProvider slash_;
};

TEST_F(CustomProviderTest, ProviderSaysWhichContextACallBelongsTo) {
  FakeCall alice("room-1/alice");
  FakeCall bob("room-1/bob");
  alice.Ask(registry());
  bob.Ask(registry());
  EXPECT_EQ(&alice.context(), &bob.context());
  EXPECT_EQ(alice.context().id(), "room-1");
  EXPECT_EQ(bob.request().key.id, "room-1");
}

TEST_F(CustomProviderTest, WhereItSaysNothingTheRequestsKeyCounts) {
  FakeCall plain("room-1");
  FakeCall alice("room-1/alice");
  plain.Ask(registry());
  alice.Ask(registry());
  EXPECT_EQ(&plain.context(), &alice.context());
}

TEST_F(CustomProviderTest, CallWaitsForTheContextOfItsMappedKey) {
  std::optional<HookDone> hook;
  {
    FakeCall alice("room-1/alice");
    alice.Ask(registry());
    alice.context().Attach<First>(journal_, "a", [&hook](HookDone done) {
      hook.emplace(std::move(done));
    });
  }
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  FakeCall bob("room-1/bob");
  FakeCall carol("room-1/carol");
  EXPECT_FALSE(bob.Ask(registry()));
  EXPECT_FALSE(carol.Ask(registry()));
  EXPECT_TRUE(registry().CancelWait(carol));
  (*hook)();
  executor_.RunAll();
  ASSERT_TRUE(bob.answered());
  EXPECT_EQ(bob.context().id(), "room-1");
  EXPECT_FALSE(carol.answered());
}

// A provider may keep its callbacks for as long as it likes.
TEST_F(InstanceRegistryTest, CallbackAfterTheRegistryIsGoneDoesNothing) {
  FakeProvider provider{/*leased=*/true};
  provider_ = &provider;
  provider.idle = false;
  Use("room-1");
  Pass(kTimeout + kTick);
  ASSERT_FALSE(provider.callbacks.empty());
  const int asked = provider.asked;
  Shutdown();
  executor_.RunAll();
  ASSERT_EQ(done_, 1);
  registry_.reset();
  for (const IdleCallback& callback : provider.callbacks) callback();
  EXPECT_EQ(executor_.size(), 0u);
  EXPECT_EQ(provider.asked, asked);
}

// ---- The lease as an extension

class ContextLeaseTest : public InstanceRegistryTest {
 protected:
  ContextLeaseTest() { initializers_ = {&leases_}; }
  LeaseInitializer leases_;
};

TEST_F(ContextLeaseTest, LeaseIsThereForTheFirstCall) {
  FakeCall call("room-1");
  // The initializer does not block: no other thread is needed.
  EXPECT_TRUE(call.Ask(registry()));
  EXPECT_EQ(executor_.size(), 0u);
  auto* const lease = call.context().Find<ContextLease>();
  ASSERT_NE(lease, nullptr);
  EXPECT_EQ(lease, call.context().Get<LeaseExtension>());
  EXPECT_EQ(lease->Remaining(), kTimeout);
}

TEST_F(ContextLeaseTest, LeaseSaysWhatWouldRemainWereTheContextLeftAloneNow) {
  FakeCall call("room-1");
  call.Ask(registry());
  auto* const lease = call.context().Find<ContextLease>();
  clock_.Advance(kTimeout * 3);
  // It is busy: if it became idle now, it would have the whole timeout.
  EXPECT_EQ(lease->Remaining(), kTimeout);
}

// Read by a provider, that is, without a pin.
TEST_F(ContextLeaseTest, LeaseOfAnIdleContextRunsDownToZero) {
  FakeProvider provider{/*leased=*/true};
  provider_ = &provider;
  provider.idle = false;
  std::vector<std::pair<absl::Duration, bool>> seen;
  provider.meanwhile = [&seen](InstanceContext& context) {
    const auto* const lease = context.Find<ContextLease>();
    seen.emplace_back(lease->Remaining(), lease->IsIdle());
  };
  Use("room-1");
  Pass(kTimeout + kTick);
  ASSERT_FALSE(seen.empty());
  EXPECT_THAT(seen, Each(Pair(absl::ZeroDuration(), true)));
  Shutdown();
  executor_.RunAll();
  registry_.reset();  // Before its provider.
}

TEST_F(ContextLeaseTest, LeaseOfABusyContextIsNotIdle) {
  FakeCall call("room-1");
  call.Ask(registry());
  const auto* const lease = call.context().Find<ContextLease>();
  clock_.Advance(kTimeout * 3);
  EXPECT_FALSE(lease->IsIdle());
}

TEST_F(ContextLeaseTest, RenewedLeaseRunsForItsWholeLengthFromThen) {
  FakeProvider provider{/*leased=*/true};
  provider_ = &provider;
  provider.meanwhile = [&provider](InstanceContext& context) {
    if (provider.asked > 1) return;
    auto* const lease = context.Find<ContextLease>();
    EXPECT_EQ(lease->Remaining(), absl::ZeroDuration());
    lease->Renew();
    EXPECT_EQ(lease->Remaining(), kTimeout);
    EXPECT_FALSE(lease->IsIdle());
    provider.idle = false;
  };
  Use("room-1");
  Pass(kTimeout + kTick);
  EXPECT_EQ(registry().size(), 1u);
  // When asked again, the registry finds the lease running, and asks nobody.
  provider.idle = true;
  provider.callbacks.back()();
  executor_.RunAll();
  EXPECT_EQ(provider.asked, 1);
  Pass(kTimeout - kTick - kNanosecond);
  EXPECT_EQ(registry().size(), 1u);
  Pass(kTick * 2);
  EXPECT_EQ(registry().size(), 0u);
  Shutdown();
  executor_.RunAll();
  registry_.reset();  // Before its provider.
}

// An embedder's own lease, in the style of the shared instancing sample: a
// provider that does not use the registry's lease, and an extension that knows
// when it is over and calls back.
class OwnLease final : public Extension, public ContextLease {
 public:
  absl::Duration Remaining() const override { return remaining; }
  void Renew() override { remaining = absl::Seconds(20); }
  bool IsIdle() const override { return remaining == absl::ZeroDuration(); }
  void SetIdleCallback(std::function<void()> callback) override {
    callback_ = std::move(callback);
  }
  void End() {
    remaining = absl::ZeroDuration();
    callback_();
  }

  absl::Duration remaining = absl::Seconds(20);

 private:
  std::function<void()> callback_;
};

class AskTheLeaseProvider final : public InstanceContextProvider {
 public:
  bool Leased() const override { return false; }
  void NotifyIdle(IdleCallback callback, InstanceContext& context) override {
    context.Find<ContextLease>()->SetIdleCallback(std::move(callback));
  }
  bool IsIdle(InstanceContext& context) override {
    return context.Find<ContextLease>()->IsIdle();
  }
};

TEST_F(InstanceRegistryTest, EmbeddersOwnLeaseSaysWhenAContextEnds) {
  OwnLease* lease = nullptr;
  FakeInitializer initializer{
      [&lease](InstanceContext& context, auto&, HookDone done) {
        lease = context.Attach<OwnLease, ContextLease>();
        done();
      }};
  AskTheLeaseProvider provider;
  initializers_ = {&initializer};
  provider_ = &provider;
  Use("room-1");
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 1u);
  lease->End();
  executor_.RunAll();
  EXPECT_EQ(registry().size(), 0u);
  Shutdown();
  executor_.RunAll();
  registry_.reset();  // Before its provider and initializer.
}

// ---- What initializers are told

// The metadata of a call; counts how often it was copied.
class FakeMetadata final : public RequestMetadata {
 public:
  explicit FakeMetadata(int& copies) : copies_(copies) {}
  std::vector<std::pair<std::string, std::string>> Copy() const override {
    ++copies_;
    return {{"user-agent", "test"}, {"x-color", "red"}};
  }

 private:
  int& copies_;
};

class InitializerRequestTest : public InstanceRegistryTest {
 protected:
  InitializerRequestTest() { initializers_ = {&initializer_}; }

  int copies_ = 0;
  std::optional<InitializerRequest> seen_;
  FakeInitializer initializer_{[this](InstanceContext&,
                                      const InitializerRequest& request,
                                      HookDone done) {
    seen_ = request;
    done();
  }};
};

TEST_F(InitializerRequestTest, RequestSurvivesTheFirstCallerWithItsMetadata) {
  {
    const auto metadata = std::make_unique<FakeMetadata>(copies_);
    InstanceRequest request = RequestOf("red", "room-1");
    request.idle_timeout = absl::Seconds(5);
    request.metadata = metadata.get();
    FakeCall call(request);
    EXPECT_FALSE(call.Ask(registry()));
    EXPECT_TRUE(registry().CancelWait(call));
  }
  EXPECT_FALSE(seen_.has_value());
  executor_.RunAll();
  ASSERT_TRUE(seen_.has_value());
  EXPECT_EQ(seen_->request.key, RequestOf("red", "room-1").key);
  EXPECT_EQ(seen_->request.idle_timeout, absl::Seconds(5));
  EXPECT_EQ(seen_->request.metadata, nullptr);
  EXPECT_THAT(seen_->metadata,
              ElementsAre(Pair("user-agent", "test"), Pair("x-color", "red")));
}

TEST_F(InitializerRequestTest, MetadataIsCopiedOnlyForACallThatMakesAContext) {
  const FakeMetadata metadata(copies_);
  InstanceRequest request = RequestFor("room-1");
  request.metadata = &metadata;
  FakeCall first(request);
  FakeCall waits(request);
  FakeCall finds(request);
  first.Ask(registry());
  waits.Ask(registry());
  executor_.RunAll();
  EXPECT_TRUE(finds.Ask(registry()));
  EXPECT_EQ(copies_, 1);
}

TEST_F(InitializerRequestTest, CallWithoutMetadataBringsNone) {
  Use("room-1");
  ASSERT_TRUE(seen_.has_value());
  EXPECT_THAT(seen_->metadata, IsEmpty());
}

TEST_F(InitializerRequestTest, KeyIsTheOneThatTheProviderChose) {
  BeforeTheSlashProvider provider;
  provider_ = &provider;
  Use("room-1/alice");
  ASSERT_TRUE(seen_.has_value());
  EXPECT_EQ(seen_->request.key.id, "room-1");
  Shutdown();
  executor_.RunAll();
  registry_.reset();  // Before its provider.
}

TEST_F(InitializerRequestTest,
       InitializerThatMayBlockIsKeptOffTheCallersThread) {
  LeaseInitializer quick;
  initializers_ = {&quick, &initializer_};
  FakeCall call("room-1");
  EXPECT_FALSE(call.Ask(registry()));
  EXPECT_FALSE(seen_.has_value());
  executor_.RunAll();
  EXPECT_TRUE(seen_.has_value());
  call.Finish();
  Shutdown();
  executor_.RunAll();
  registry_.reset();  // Before its initializer.
}

}  // namespace
}  // namespace leasehold
