#include "service/instance/extension.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/instance/instance_fakes.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Two interfaces, so that one of them is not at the extension's own address.
class Clearable {
 public:
  virtual ~Clearable() = default;
  virtual std::string Clear() = 0;
};
class Countable {
 public:
  virtual ~Countable() = default;
  virtual int Count() = 0;
};

class Basket final : public Extension, public Clearable, public Countable {
 public:
  explicit Basket(int count) : count_(count) {}
  std::string Clear() override { return "cleared"; }
  int Count() override { return count_; }

 private:
  const int count_;
};

class ExtensionTest : public InstanceRegistryTest {
 protected:
  ExtensionTest() { call_.Ask(registry()); }
  void TearDown() override {
    call_.Finish();
    InstanceRegistryTest::TearDown();
  }

  InstanceContext& context() { return call_.context(); }
  template <typename T>
  T* Attach(std::string name,
            NotingExtension::OnDetachBody on_detach = nullptr) {
    return context().Attach<T>(journal_, std::move(name), std::move(on_detach));
  }

  FakeCall call_{"room-1"};
};

TEST_F(ExtensionTest, ContextWithoutExtensionsFindsNone) {
  EXPECT_EQ(context().Get<First>(), nullptr);
  EXPECT_EQ(context().Find<Clearable>(), nullptr);
}

TEST_F(ExtensionTest, GetFindsByExactType) {
  First* first = Attach<First>("a");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(context().Get<First>(), first);
  EXPECT_EQ(context().Get<Second>(), nullptr);
}

TEST_F(ExtensionTest, FindFindsByTypeToo) {
  First* first = Attach<First>("a");
  EXPECT_EQ(context().Find<First>(), first);
}

TEST_F(ExtensionTest, FindFindsByEachInterfaceItWasAttachedWith) {
  (context().Attach<Basket, Clearable, Countable>(7));
  EXPECT_EQ(context().Find<Clearable>()->Clear(), "cleared");
  EXPECT_EQ(context().Find<Countable>()->Count(), 7);
}

TEST_F(ExtensionTest, FindDoesNotSeeAnInterfaceThatWasNotNamed) {
  (context().Attach<Basket, Clearable>(7));
  EXPECT_EQ(context().Find<Countable>(), nullptr);
}

TEST_F(ExtensionTest, FindTakesTheFirstOfTwoWithOneInterface) {
  class Other final : public Extension, public Countable {
   public:
    int Count() override { return 1; }
  };
  (context().Attach<Other, Countable>());
  (context().Attach<Basket, Countable>(2));
  EXPECT_EQ(context().Find<Countable>()->Count(), 1);
}

TEST_F(ExtensionTest, OnAttachSeesTheExtensionInItsContext) {
  class Looking final : public Extension {
   public:
    void OnAttach(InstanceContext& context) override {
      found = context.Get<Looking>() == this;
    }
    bool found = false;
  };
  EXPECT_TRUE(context().Attach<Looking>()->found);
}

TEST_F(ExtensionTest, SecondAttachOfATypeMakesNothing) {
  First* first = Attach<First>("a");
  EXPECT_EQ(Attach<First>("b"), nullptr);
  EXPECT_EQ(context().Get<First>(), first);
  EXPECT_THAT(journal_, testing::Contains("+a"));
  EXPECT_THAT(journal_, testing::Not(testing::Contains("+b")));
}

TEST_F(ExtensionTest, GetOrAttachAttachesOnce) {
  First& first = *context().GetOrAttach<First>(journal_, "a");
  EXPECT_EQ(context().GetOrAttach<First>(journal_, "b"), &first);
  EXPECT_EQ(first.name(), "a");
}

TEST_F(ExtensionTest, ContextsDoNotShareExtensions) {
  Attach<First>("a");
  FakeCall other("room-2");
  other.Ask(registry());
  EXPECT_EQ(other.context().Get<First>(), nullptr);
}

// Callers race for one extension: all get the same one, and only that one gets
// OnAttach.
TEST_F(ExtensionTest, CallersWhoRaceForOneExtensionAllGetTheSame) {
  static std::atomic<int> attached;
  class Racing final : public Extension {
   public:
    void OnAttach(InstanceContext&) override { ++attached; }
  };
  for (int round = 0; round < 200; ++round) {
    attached = 0;
    FakeCall call("race-" + std::to_string(round));
    call.Ask(registry());
    Racing* found[3];
    std::vector<std::thread> threads;
    for (Racing*& mine : found) {
      threads.emplace_back(
          [&call, &mine] { mine = call.context().GetOrAttach<Racing>(); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(found[0], found[1]);
    EXPECT_EQ(found[0], found[2]);
    EXPECT_EQ(attached, 1);
  }
}

TEST_F(ExtensionTest, DetachedExtensionIsNoLongerFoundAndIsToldWhy) {
  Attach<First>("a");
  Attach<Second>("b");
  TakeJournal();
  EXPECT_TRUE(context().Detach<First>());
  EXPECT_EQ(context().Get<First>(), nullptr);
  EXPECT_NE(context().Get<Second>(), nullptr);
  EXPECT_THAT(journal_, IsEmpty());  // Hooks run on the executor.
  executor_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("a: removed"));
}

TEST_F(ExtensionTest, DetachOfWhatIsNotThereIsFalse) {
  EXPECT_FALSE(context().Detach<First>());
  EXPECT_EQ(executor_.size(), 0u);
}

TEST_F(ExtensionTest, DetachTellsWhatTheHookAnswered) {
  Attach<First>("a", [](HookDone done) { done(absl::AbortedError("no")); });
  Attach<Second>("b");
  std::vector<absl::Status> answers;
  const auto note = [&answers](absl::Status status) {
    answers.push_back(std::move(status));
  };
  context().Detach<First>(note);
  context().Detach<Second>(note);
  executor_.RunAll();
  EXPECT_THAT(answers, ElementsAre(absl::AbortedError("no"), absl::OkStatus()));
}

TEST_F(ExtensionTest, DetachedExtensionLivesUntilTheLastPinIsGone) {
  FakeCall other("room-1");
  other.Ask(registry());
  First* first = Attach<First>("a");
  TakeJournal();
  context().Detach<First>();
  executor_.RunAll();
  other.Finish();
  executor_.RunAll();
  EXPECT_EQ(first->name(), "a");  // Valid: this call could see it.
  EXPECT_THAT(TakeJournal(), ElementsAre("a: removed"));
  call_.Finish();
  EXPECT_THAT(journal_, IsEmpty());  // Destructors run on the executor too.
  executor_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("-a"));
}

TEST_F(ExtensionTest, HookOfADetachedExtensionKeepsTheContextBusy) {
  std::optional<HookDone> kept;
  Attach<First>("a", [&](HookDone done) { kept.emplace(std::move(done)); });
  context().Detach<First>();
  executor_.RunAll();
  call_.Finish();
  EXPECT_EQ(Release("room-1").code(), absl::StatusCode::kFailedPrecondition);
  (*kept)();
  executor_.RunAll();
  EXPECT_TRUE(Release("room-1").ok());
}

TEST_F(ExtensionTest, DetachedTypeCanBeAttachedAgain) {
  First* first = Attach<First>("a");
  context().Detach<First>();
  executor_.RunAll();
  First* second = Attach<First>("b");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(context().Get<First>(), second);
  EXPECT_EQ(first->name(), "a");  // Both live while this call runs.
}

TEST_F(ExtensionTest, DetachedExtensionIsNotToldAgainWhenTheContextCloses) {
  Attach<First>("a");
  Attach<Second>("b");
  context().Detach<First>();
  executor_.RunAll();
  call_.Finish();
  executor_.RunAll();
  TakeJournal();
  ASSERT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  EXPECT_THAT(journal_, ElementsAre("closing room-1 released", "b: released",
                                    "closed room-1 released", "-b"));
}

// The registry's last task may be to destroy an extension that was detached at
// run time: `done` waits for that.
TEST_F(ExtensionTest, ShutdownWaitsForTheDestructionOfADetachedExtension) {
  Attach<First>("a");
  context().Detach<First>();
  executor_.RunAll();
  shut_down_ = true;
  registry().Shutdown([this] {
    journal_.push_back("done");
    ++done_;
  });
  TakeJournal();
  call_.Finish();
  while (executor_.RunNewest()) {
  }
  EXPECT_THAT(journal_, ElementsAre("closing room-1 shutdown",
                                    "closed room-1 shutdown", "-a", "done"));
}

TEST(Extension, EachReasonHasAName) {
  EXPECT_EQ(DetachReasonName(DetachReason::kIdle), "idle");
  EXPECT_EQ(DetachReasonName(DetachReason::kReleased), "released");
  EXPECT_EQ(DetachReasonName(DetachReason::kEvicted), "evicted");
  EXPECT_EQ(DetachReasonName(DetachReason::kShutdown), "shutdown");
  EXPECT_EQ(DetachReasonName(DetachReason::kLostOwnership), "lost ownership");
  EXPECT_EQ(DetachReasonName(DetachReason::kFailedInitializer),
            "failed initializer");
  EXPECT_EQ(DetachReasonName(DetachReason::kRemoved), "removed");
}

TEST(Extension, TypeIsNamedForPeople) {
  EXPECT_EQ(ExtensionTypeName(internal::kExtensionType<First>),
            "leasehold::First");
}

}  // namespace
}  // namespace leasehold
