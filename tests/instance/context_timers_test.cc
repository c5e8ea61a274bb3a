// What timers of a context do, and what they leave alone.
#include "service/instance/context_timers.h"

#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/instance/serial_queue.h"
#include "tests/instance/instance_fakes.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ContextTimersTest : public InstanceRegistryTest {
 protected:
  // Sets a timer that notes `name`, in a call of `room-1`.
  ContextTimer Set(absl::Duration delay, std::string name) {
    FakeCall call("room-1");
    call.Ask(registry());
    executor_.RunAll();
    return *SetTimer(call.context(), delay, [this, name = std::move(name)] {
      EXPECT_TRUE(executor_.running());
      ran_.push_back(name);
    });
  }
  bool Open() { return registry().size() == 1; }

  Journal ran_;
};

TEST_F(ContextTimersTest, RunsOnceAfterItsDelay) {
  Set(absl::Seconds(5), "a");
  Pass(absl::Seconds(5) - kNanosecond);
  EXPECT_THAT(ran_, IsEmpty());
  Pass(kTick);
  EXPECT_THAT(ran_, ElementsAre("a"));
  Pass(absl::Seconds(10));
  EXPECT_THAT(ran_, ElementsAre("a"));
}

TEST_F(ContextTimersTest, RenewsNoLease) {
  Set(kTimeout - kTick, "a");
  Pass(kTimeout - kTick);
  EXPECT_THAT(ran_, ElementsAre("a"));
  EXPECT_TRUE(Open());
  Pass(kTick);
  EXPECT_FALSE(Open());
}

TEST_F(ContextTimersTest, EndsWithItsContext) {
  Set(kTimeout + absl::Seconds(1), "a");
  Pass(kTimeout);
  EXPECT_FALSE(Open());
  Use("room-1");  // Another context of the same ID.
  Pass(absl::Seconds(10));
  EXPECT_THAT(ran_, IsEmpty());
}

TEST_F(ContextTimersTest, OneThatIsCancelledDoesNotRun) {
  ContextTimer timer = Set(absl::Seconds(5), "a");
  EXPECT_TRUE(timer.Cancel());
  EXPECT_FALSE(timer.Cancel());
  ContextTimer due = Set(absl::Seconds(5), "b");
  clock_.Advance(absl::Seconds(6));
  registry().RunDueLeases();
  EXPECT_TRUE(due.Cancel());  // It has rung, and not run.
  executor_.RunAll();
  EXPECT_THAT(ran_, IsEmpty());
  EXPECT_FALSE(ContextTimer().Cancel());
}

TEST_F(ContextTimersTest, OneThatHasRunOrLostItsContextCannotBeCancelled) {
  ContextTimer ran = Set(absl::Seconds(1), "a");
  Pass(absl::Seconds(1));
  EXPECT_FALSE(ran.Cancel());
  ContextTimer lost = Set(absl::Seconds(30), "b");
  Pass(kTimeout);
  EXPECT_FALSE(lost.Cancel());
}

TEST_F(ContextTimersTest, OneThatIsDueWhileTheContextOpensRunsOnceItIsOpen) {
  std::optional<HookDone> answer;
  FakeInitializer initializer(
      [&](InstanceContext& context, const InitializerRequest&, HookDone done) {
        SetTimer(context, absl::ZeroDuration(), [this] {
          ran_.push_back("a");
        }).IgnoreError();
        answer.emplace(std::move(done));
      });
  initializers_ = {&initializer};
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  Pass(absl::Seconds(1));
  EXPECT_THAT(ran_, IsEmpty());
  (*answer)();
  executor_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("a"));
  call.Finish();
  Shutdown();
  executor_.RunAll();
  registry_.reset();  // Before its initializer.
}

TEST_F(ContextTimersTest, OneOfAContextThatIsNotOpenedIsForgotten) {
  FakeInitializer initializer(
      [&](InstanceContext& context, const InitializerRequest&, HookDone done) {
        SetTimer(context, absl::Seconds(1), [this] {
          ran_.push_back("a");
        }).IgnoreError();
        done(absl::UnavailableError("no"));
      });
  initializers_ = {&initializer};
  FakeCall call("room-1");
  call.Ask(registry());
  executor_.RunAll();
  EXPECT_FALSE(Open());
  Pass(absl::Seconds(2));
  EXPECT_THAT(ran_, IsEmpty());
  Shutdown();
  executor_.RunAll();
  registry_.reset();  // Before its initializer.
}

TEST_F(ContextTimersTest, TheContextClosesWhenTheTimerHasRun) {
  FakeCall call("room-1");
  call.Ask(registry());
  call.context().Attach<First>(ran_, "ext");
  SetTimer(call.context(), absl::Seconds(1), [this] {
    EXPECT_TRUE(Release("room-1").ok());
    while (executor_.RunOne()) {  // As other threads would.
    }
    ran_.push_back("timer");
  }).IgnoreError();
  call.Finish();
  ran_.clear();
  Pass(absl::Seconds(1));
  EXPECT_THAT(ran_, ElementsAre("timer", "ext: released", "-ext"));
  EXPECT_FALSE(Open());
}

TEST_F(ContextTimersTest, AnExtensionThatIsRemovedIsNotFreedUnderATimer) {
  FakeCall call("room-1");
  call.Ask(registry());
  call.context().Attach<First>(ran_, "ext");
  SetTimer(call.context(), absl::Seconds(1), [this, &context = call.context()] {
    First* const seen = context.Get<First>();
    FakeCall remover("room-1");
    remover.Ask(registry());
    remover.context().Detach<First>();
    remover.Finish();
    while (executor_.RunOne()) {
    }
    ran_.push_back("still " + seen->name());
  }).IgnoreError();
  call.Finish();
  ran_.clear();
  Pass(absl::Seconds(1));
  Use("room-1");
  executor_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("ext: removed", "still ext", "-ext"));
}

TEST_F(ContextTimersTest, ATimerMaySetTheNextOne) {
  FakeCall call("room-1");
  call.Ask(registry());
  int ticks = 0;
  std::function<void()> tick = [&, &context = call.context()] {
    if (++ticks < 3) SetTimer(context, absl::Seconds(1), tick).IgnoreError();
  };
  SetTimer(call.context(), absl::Seconds(1), tick).IgnoreError();
  for (int i = 0; i < 5; ++i) Pass(absl::Seconds(1));
  EXPECT_EQ(ticks, 3);
}

TEST_F(ContextTimersTest, AnExceptionEndsTheTimerAndObserversAreTold) {
  FakeCall call("room-1");
  call.Ask(registry());
  SetTimer(call.context(), absl::Seconds(1), [] {
    throw std::runtime_error("oops");
  }).IgnoreError();
  call.Finish();
  TakeJournal();
  Pass(absl::Seconds(1));
  EXPECT_THAT(TakeJournal(), Contains("threw room-1 a timer: oops"));
  EXPECT_TRUE(Open());
}

TEST_F(ContextTimersTest, AClosingContextTakesNone) {
  FakeCall call("room-1");
  call.Ask(registry());
  InstanceContext& context = call.context();
  absl::Status status;
  context.Attach<First>(ran_, "ext", [&](HookDone done) {
    status = SetTimer(context, absl::Seconds(1), [] {}).status();
    done();
  });
  call.Finish();
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ContextTimersTest, AContextHasABoundedNumberOfThem) {
  FakeCall call("room-1");
  call.Ask(registry());
  std::vector<ContextTimer> timers;
  for (size_t i = 0; i < kContextTimersMax; ++i) {
    timers.push_back(*SetTimer(call.context(), absl::Seconds(1), [] {}));
  }
  const absl::Status status =
      SetTimer(call.context(), absl::Seconds(1), [] {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("room-1"));
  EXPECT_TRUE(timers[7].Cancel());
  EXPECT_TRUE(SetTimer(call.context(), absl::Seconds(1), [] {}).ok());
}

// ---- With access

class NoWaiter final : public AccessWaiter {
 public:
  void OnAccess(absl::StatusOr<SerialAccess>) override { FAIL(); }
};

class SerialTimersTest : public ContextTimersTest {
 protected:
  SerialTimersTest() { call_.Ask(registry()); }
  void TearDown() override {
    access_.reset();
    call_.Finish();
    ContextTimersTest::TearDown();
  }
  void Hold() {
    access_ = queue_.Acquire(timer_, waiter_, "Add");
    ASSERT_TRUE(access_.has_value());
  }
  ContextTimer SetSerial(std::string name) {
    return *SetSerialTimer(
        call_.context(), absl::Seconds(1), [this] { return &queue_; },
        [this, name = std::move(name)] {
          NoWaiter other;
          EXPECT_FALSE(queue_.Acquire(timer_, other, "x").has_value());
          EXPECT_TRUE(SerialQueue::CancelWait(other));
          ran_.push_back(name);
        });
  }

  AccessTimer timer_{clock_, executor_, absl::Seconds(30)};
  SerialQueue queue_;
  NoWaiter waiter_;
  std::optional<SerialAccess> access_;
  FakeCall call_{"room-1"};
};

TEST_F(SerialTimersTest, WaitsForAccessAsLongAsItTakesAndHasItWhileItRuns) {
  SetSerial("a");
  SetSerial("b");
  Hold();
  Pass(absl::Hours(1));
  EXPECT_THAT(ran_, IsEmpty());
  access_.reset();
  executor_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("a", "b"));
  Hold();  // It is free again.
}

TEST_F(SerialTimersTest, OneThatIsCancelledWhileItWaitsPassesTheAccessOn) {
  ContextTimer a = SetSerial("a");
  SetSerial("b");
  Hold();
  Pass(absl::Seconds(1));
  EXPECT_TRUE(a.Cancel());
  access_.reset();
  executor_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("b"));
  Hold();
}

TEST_F(SerialTimersTest, OneThatIsCancelledWithAccessPassesItOn) {
  ContextTimer a = SetSerial("a");
  SetSerial("b");
  Hold();
  Pass(absl::Seconds(1));
  access_.reset();
  EXPECT_TRUE(executor_.RunOne());  // It gets access, and runs later.
  EXPECT_TRUE(a.Cancel());
  executor_.RunAll();
  EXPECT_THAT(ran_, ElementsAre("b"));
  Hold();
}

TEST_F(SerialTimersTest, OneThatWaitsWhenItsContextClosesIsForgotten) {
  SetSerial("a");
  Hold();
  Pass(absl::Seconds(1));
  call_.Finish();
  EXPECT_TRUE(Release("room-1").ok());
  executor_.RunAll();
  EXPECT_FALSE(Open());
  access_.reset();
  executor_.RunAll();
  EXPECT_THAT(ran_, IsEmpty());
  Hold();
}

TEST_F(SerialTimersTest, WithoutAQueueItRunsAtOnce) {
  SetSerialTimer(
      call_.context(), absl::Seconds(1),
      []() -> SerialQueue* { return nullptr; }, [this] { ran_.push_back("a"); })
      .IgnoreError();
  Pass(absl::Seconds(1));
  EXPECT_THAT(ran_, ElementsAre("a"));
}

// ---- Any order of events

// Goal: whatever comes between the steps of timers, one runs at most once, not
// early, not beside another one of its context, not in a context that has
// closed; and if nothing hinders it, it runs. Method: random steps over few
// contexts; tasks run in any order, also inside timers.
class AnyOrderTest : public ContextTimersTest {
 protected:
  struct Known {
    Instant due;
    uint64_t generation;
    int runs = 0;
    bool cancelled = false;
    ContextTimer handle = {};
  };

  AnyOrderTest() {
    closes_.then = [this](const InstanceEvent& event) {
      if (event.kind != InstanceEventKind::kClosing) return;
      EXPECT_EQ(running_[std::string(event.instance_id)], 0);
      open_.erase(std::string(event.instance_id));
    };
    observers_ = {&closes_};
  }
  // Before the observer goes.
  ~AnyOrderTest() override {
    if (!shut_down_) Shutdown();
    executor_.RunAll();
    registry_.reset();
  }

  void SetOne(const std::string& id) {
    FakeCall call(id);
    call.Ask(registry());
    if (!call.answered()) {
      EXPECT_TRUE(registry().CancelWait(call));
      return;
    }
    if (!call.status().ok()) return;
    InstanceContext& context = call.context();
    open_[id] = context.generation();
    const absl::Duration delay =
        absl::Seconds(static_cast<int64_t>(Uniform(random_, 0, 30)));
    const int number = static_cast<int>(timers_.size());
    timers_[number] = {.due = clock_.Now() + delay,
                       .generation = context.generation()};
    timers_[number].handle = *SetTimer(
        context, delay, [this, number, id] { OnRun(timers_[number], id); });
    call.Finish();
  }
  void OnRun(Known& known, const std::string& id) {
    EXPECT_EQ(++known.runs, 1);
    EXPECT_FALSE(known.cancelled);
    EXPECT_GE(clock_.Now(), known.due);
    EXPECT_EQ(open_[id], known.generation) << "after it closed";
    EXPECT_EQ(running_[id]++, 0) << "beside another one";
    for (uint64_t n = Uniform(random_, 0, 2); n > 0; --n) {
      executor_.RunAny(random_);
    }
    --running_[id];
  }
  void CancelOne() {
    if (timers_.empty()) return;
    Known& known =
        timers_[static_cast<int>(Uniform(random_, 0, timers_.size() - 1))];
    if (known.handle.Cancel()) {
      EXPECT_FALSE(known.cancelled);
      known.cancelled = true;
    }
  }
  void Check() const {
    for (const auto& [number, known] : timers_) {
      if (known.cancelled) {
        EXPECT_EQ(known.runs, 0);
        continue;
      }
      for (const auto& [id, generation] : open_) {
        if (generation == known.generation &&
            known.due + kTick <= clock_.Now()) {
          EXPECT_EQ(known.runs, 1) << "of " << id;
        }
      }
    }
  }

  Random random_{BaseSeed()};
  std::map<int, Known> timers_;
  std::map<std::string, uint64_t> open_;  // Generations of open contexts.
  std::map<std::string, int> running_;    // Timers inside, by ID.
  FakeObserver closes_{journal_};
};

TEST_F(AnyOrderTest, RunsEachAtMostOnceAndInItsContext) {
  SCOPED_TRACE("LEASEHOLD_SEED=" + std::to_string(BaseSeed()));
  for (int step = 0; step < 4'000; ++step) {
    const std::string id = "room-" + std::to_string(Uniform(random_, 0, 2));
    switch (Uniform(random_, 0, 5)) {
      case 0:
        SetOne(id);
        break;
      case 1:
        CancelOne();
        break;
      case 2:
        if (OneIn(random_, 4)) Release(id).IgnoreError();
        break;
      case 3:
        clock_.Advance(absl::Milliseconds(
            static_cast<int64_t>(Uniform(random_, 0, 8'000))));
        registry().RunDueLeases();
        break;
      default:
        executor_.RunAny(random_);
    }
  }
  RunDue();
  Check();
}

}  // namespace
}  // namespace leasehold
