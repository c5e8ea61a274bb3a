// The wheel against a model that is too simple to be wrong: a map sorted by
// ticks. Random operations, many short lives; a failure prints its seed.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "lease/timing_wheel.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

constexpr size_t kItems = 60;
constexpr int kOperations = 120;
constexpr uint64_t kLastTick = std::numeric_limits<uint64_t>::max();

class WheelAndModel {
 public:
  WheelAndModel(Random& random, uint64_t now)
      : random_(random), now_(now), wheel_(now) {}

  void Run() {
    for (int i = 0; i < kOperations; ++i) {
      SCOPED_TRACE(testing::Message() << "operation " << i);
      Step();
      CheckState();
      if (testing::Test::HasFailure()) return;
    }
    // At the end, everything has fired.
    ending_ = true;
    Turn(kLastTick);
    EXPECT_TRUE(filed_.empty());
    EXPECT_EQ(wheel_.size(), 0u);
  }

 private:
  using Entry = TimingWheel::Entry;

  // A distance in ticks: tiny, at or near the boundary of a level, or huge.
  uint64_t Distance() {
    switch (Uniform(random_, 0, 4)) {
      case 0:
        return Uniform(random_, 0, 3);
      case 1:
        return Uniform(random_, 0, 200);
      case 2: {
        constexpr std::array<uint64_t, 8> kBoundaries = {
            63, 64, 65, 4095, 4096, 4097, 262'143, 262'144};
        return kBoundaries[Uniform(random_, 0, kBoundaries.size() - 1)];
      }
      case 3: {
        const uint64_t power = uint64_t{1} << Uniform(random_, 0, 40);
        return power + Uniform(random_, 0, 2) - 1;
      }
      default:
        return random_() >> Uniform(random_, 0, 63);
    }
  }
  uint64_t After(uint64_t tick, uint64_t distance) {
    return distance > kLastTick - tick ? kLastTick : tick + distance;
  }
  uint64_t SomeTick() {
    const uint64_t distance = Distance();
    if (OneIn(random_, 10)) return now_ - std::min(now_, distance);
    return After(now_, distance);
  }

  void Step() {
    switch (Uniform(random_, 0, 11)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return Insert();
      case 5:
        return Cancel();
      case 6: {  // As a sleeper does: to the wheel's next tick.
        const std::optional<uint64_t> next = wheel_.NextTick();
        return Turn(next.value_or(now_));
      }
      case 7: {  // To the model's next tick, not beyond.
        if (filed_.empty()) return;
        const uint64_t first = filed_.begin()->first;
        if (first > now_) Turn(first - 1);
        return Turn(first);
      }
      case 8:
        return Prepare();
      case 9: {  // To where refiling ahead begins, or an earlier due tick.
        const uint64_t ahead = wheel_.NextAhead().value_or(now_);
        return Turn(std::min(ahead, wheel_.NextTick().value_or(now_)));
      }
      default:
        return Turn(SomeTick());
    }
  }

  // Refiles ahead of time. No effect may be visible from outside.
  void Prepare() {
    const std::optional<uint64_t> before = wheel_.NextTick();
    bool more = true;
    while (more) more = wheel_.RefileAhead(Uniform(random_, 1, 20));
    if (wheel_.turning()) return;
    ASSERT_LE(before, wheel_.NextTick());
    const std::optional<uint64_t> ahead = wheel_.NextAhead();
    if (ahead.has_value()) {
      ASSERT_GT(*ahead, now_) << "said to be done";
    }
  }

  void Insert() {
    Entry& entry = entries_[Uniform(random_, 0, kItems - 1)];
    if (entry.filed()) return;
    const uint64_t tick = SomeTick();
    wheel_.Insert(entry, tick);
    // Due by the wheel's latest target: late.
    const bool late = tick <= now_;
    filed_.emplace(late ? now_ : tick, &entry);
    if (late) late_.insert(&entry);
  }

  void Cancel() {
    Entry& entry = entries_[Uniform(random_, 0, kItems - 1)];
    if (!entry.filed()) return;
    wheel_.Cancel(entry);
    Forget(entry);
  }

  // Turns to `to` with random limits, and inserts and cancels on the way.
  void Turn(uint64_t to) {
    late_.clear();  // The turn that begins now hands them out.
    now_ = std::max(now_, to);
    uint64_t last = 0;
    bool more = true;
    while (more) {
      const size_t limit =
          OneIn(random_, 2) ? Uniform(random_, 1, 4) : kItems * 20;
      std::vector<Entry*> due;
      more = wheel_.Advance(to, limit, due);
      ASSERT_EQ(more, wheel_.turning());
      ASSERT_LE(due.size(), limit);
      for (Entry* entry : due) {
        const std::optional<uint64_t> tick = Forget(*entry);
        ASSERT_TRUE(tick.has_value()) << "fired, but was not filed";
        ASSERT_LE(*tick, now_) << "fired early";
        ASSERT_GE(*tick, last) << "fired out of order";
        ASSERT_FALSE(entry->filed());
        ASSERT_EQ(late_.count(entry), 0u) << "fired in a turn too soon";
        last = *tick;
      }
      if (more && !ending_) {
        CheckState();
        if (OneIn(random_, 2)) Insert();
        if (OneIn(random_, 4)) Cancel();
        if (OneIn(random_, 8)) Prepare();
        if (OneIn(random_, 8)) {  // Another caller, whose clock is ahead.
          to = After(to, Uniform(random_, 0, 100));
          now_ = std::max(now_, to);
        }
      }
    }
    // Everything due has fired, except what came too late for this turn.
    for (const auto& [tick, entry] : filed_) {
      if (tick > now_) break;
      ASSERT_EQ(late_.count(entry), 1u) << "due at " << tick << ", not fired";
    }
  }

  // Removes `entry` from the model. Returns its tick, if it was there.
  std::optional<uint64_t> Forget(const Entry& entry) {
    const auto place =
        std::find_if(filed_.begin(), filed_.end(),
                     [&](const auto& filed) { return filed.second == &entry; });
    if (place == filed_.end()) return std::nullopt;
    const uint64_t tick = place->first;
    filed_.erase(place);
    late_.erase(&entry);
    return tick;
  }

  void CheckState() {
    ASSERT_EQ(wheel_.size(), filed_.size());
    ASSERT_EQ(wheel_.now(), now_);
    const std::optional<uint64_t> next = wheel_.NextTick();
    ASSERT_EQ(next.has_value(), !filed_.empty());
    if (!next.has_value()) return;
    const uint64_t first = filed_.begin()->first;
    ASSERT_LE(*next, std::max(first, now_)) << "would be slept through";
    if (wheel_.turning()) return;
    // Between turns: now if there is something to do now; else the future, and
    // near its end exactly. (A wheel that always said "now" would keep a thread
    // awake for nothing.)
    if (first <= now_) {
      ASSERT_EQ(*next, now_);
    } else {
      ASSERT_GT(*next, now_);
      if (first / 64 == now_ / 64) {
        ASSERT_EQ(*next, first);
      }
    }
  }

  Random& random_;
  bool ending_ = false;
  uint64_t now_;  // The wheel's latest target.
  TimingWheel wheel_;
  std::array<Entry, kItems> entries_;
  std::multimap<uint64_t, const Entry*> filed_;
  std::set<const Entry*> late_;  // Of these, for the turn after this one.
};

TEST(TimingWheelModel, BehavesAsASortedMapUnderRandomOperations) {
  ForEachSeed(4000, [](Random& random) {
    const uint64_t now = random() >> Uniform(random, 0, 63);
    WheelAndModel(random, now).Run();
  });
}

}  // namespace
}  // namespace leasehold
