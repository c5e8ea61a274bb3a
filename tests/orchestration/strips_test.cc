// What is recorded of IDs: whole, in order, bounded, and forgotten when it must
// be.
#include "service/orchestration/strips.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/instance/instance_fakes.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kCompleted = OrchestrationStatus::kCompleted;

// A strip as text: times are seconds since recording began.
std::vector<std::string> Words(const Strip& strip) {
  std::vector<std::string> words;
  const auto at = [&strip](std::optional<absl::Time> time) -> std::string {
    if (!time.has_value()) return "?";
    return absl::StrCat(absl::ToInt64Seconds(*time - strip.recording_since));
  };
  for (const Strip::Context& one : strip.contexts) {
    words.push_back(absl::StrCat(
        "context ", one.generation, " ", at(one.opened), "-", at(one.closed),
        one.closed.has_value()
            ? absl::StrCat(" ", std::string(DetachReasonName(one.reason)))
            : ""));
  }
  for (const Strip::Run& one : strip.runs) {
    words.push_back(absl::StrCat(
        "run ", one.execution_id, " ", at(one.began), "-", at(one.ended),
        one.status.has_value()
            ? absl::StrCat(" ", std::string(StatusName(*one.status)))
            : "",
        one.parent_id.empty() ? "" : absl::StrCat(" of ", one.parent_id)));
  }
  static const char* const kResults[] = {"started", "attached", "repeated",
                                         "refused", "failed"};
  for (const Strip::Start& one : strip.starts) {
    words.push_back(absl::StrCat(kResults[static_cast<size_t>(one.result)], " ",
                                 one.by.identity, "@", one.by.peer, " ",
                                 at(one.time), " ",
                                 one.code == absl::StatusCode::kOk
                                     ? one.execution_id
                                     : absl::StatusCodeToString(one.code)));
  }
  return words;
}

class StripsTest : public testing::Test {
 protected:
  void Open(std::string_view id, uint64_t generation,
            std::string_view tenant = kTestTenant) {
    Tell(InstanceEventKind::kCreated, id, generation, DetachReason::kIdle,
         tenant);
  }
  void Close(std::string_view id, uint64_t generation,
             DetachReason reason = DetachReason::kIdle,
             std::string_view tenant = kTestTenant) {
    Tell(InstanceEventKind::kClosed, id, generation, reason, tenant);
  }
  void Tell(InstanceEventKind kind, std::string_view id, uint64_t generation,
            DetachReason reason, std::string_view tenant) {
    strips_.OnEvent({.kind = kind,
                     .tenant = tenant,
                     .instance_id = id,
                     .generation = generation,
                     .reason = reason});
  }
  void Answer(std::string_view id, const absl::StatusOr<StartReceipt>& receipt,
              const std::string& who = "ann") {
    strips_.Answer(TestKey(id), {.identity = who, .peer = "ipv4:1"}, receipt);
  }
  static StartReceipt Receipt(std::string run, bool created) {
    return {.execution_id = std::move(run),
            .created = created,
            .context = StartReceipt::Context{}};
  }
  void Pass(int seconds) { clock_.Advance(absl::Seconds(seconds)); }
  Strip Read(std::string_view id) const { return strips_.Read(TestKey(id)); }
  std::vector<std::string> Shown(std::string_view id) const {
    return Words(Read(id));
  }

  SimulatedClock clock_;
  Strips strips_{clock_};
};

TEST_F(StripsTest, AnIdHasItsContextsItsRunsAndItsStarts) {
  Pass(1);
  Open("a", 17);
  strips_.Begin(TestKey("a"), "r1", "", clock_.Now());
  Answer("a", Receipt("r1", true));
  Pass(1);
  Answer("a", Receipt("r1", false), "bob");
  Answer("a", absl::AlreadyExistsError("no"), "");
  Pass(1);
  strips_.End(TestKey("a"), "r1", kCompleted, clock_.Now());
  Pass(20);
  Close("a", 17);
  Pass(10);
  Open("a", 18);
  strips_.Begin(TestKey("a"), "r2", "parent", clock_.Now());
  EXPECT_THAT(Shown("a"),
              ElementsAre("context 17 1-23 idle", "context 18 33-?",
                          "run r1 1-3 Completed", "run r2 33-? of parent",
                          "started ann@ipv4:1 1 r1", "attached bob@ipv4:1 2 r1",
                          "refused @ipv4:1 2 ALREADY_EXISTS"));
  EXPECT_THAT(Shown("b"), IsEmpty());
}

TEST_F(StripsTest, WhatAStartWasToldIsOneOfFive) {
  StartReceipt again = Receipt("r", true);
  again.context.reset();
  Answer("a", again);
  Answer("a", absl::ResourceExhaustedError("full"));
  Answer("a", absl::UnavailableError("perhaps"));
  Answer("a", absl::NotFoundError("a restart of nothing"));
  EXPECT_THAT(Shown("a"), ElementsAre("repeated ann@ipv4:1 0 r",
                                      "refused ann@ipv4:1 0 RESOURCE_EXHAUSTED",
                                      "failed ann@ipv4:1 0 UNAVAILABLE"));
}

TEST_F(StripsTest, PeersAreNamedAsTheServerNamesThem) {
  strips_.UseAddresses(
      [](const std::string& peer) { return absl::StrCat("behind ", peer); });
  Answer("a", Receipt("r", true));
  EXPECT_THAT(Shown("a"), ElementsAre("started ann@behind ipv4:1 0 r"));
}

TEST_F(StripsTest, AWallClockThatIsSetBackMakesNothingOverlap) {
  Open("a", 1);
  Pass(10);
  Close("a", 1);
  clock_.SetWall(-absl::Hours(1));
  Open("a", 2);
  Pass(5);
  const Strip strip = Read("a");
  EXPECT_EQ(strip.contexts[0].closed, strip.contexts[1].opened);
  EXPECT_EQ(strip.now - strip.contexts[1].opened, absl::Seconds(5));
  EXPECT_EQ(strip.now, clock_.WallNow());
}

TEST_F(StripsTest, TwoThatOverlapWouldBeSeen) {
  Open("a", 1);
  Pass(1);
  Open("a", 2);
  Pass(1);
  Close("a", 1);
  EXPECT_THAT(Shown("a"), ElementsAre("context 1 0-2 idle", "context 2 1-?"));
}

TEST_F(StripsTest, OfAnIdTheNewestAreKeptAndTheOthersCounted) {
  const int many = static_cast<int>(Strips::kOfIdMax) + 7;
  for (int i = 0; i < many; ++i) {
    Open("a", static_cast<uint64_t>(i));
    Close("a", static_cast<uint64_t>(i));
    const std::string run = absl::StrCat("r", i);
    strips_.Begin(TestKey("a"), run, "", clock_.Now());
    strips_.End(TestKey("a"), run, OrchestrationStatus::kContinuedAsNew,
                clock_.Now());
    Answer("a", Receipt(run, false));
    Pass(1);
  }
  const Strip strip = Read("a");
  EXPECT_EQ(strip.contexts.size(), Strips::kOfIdMax);
  EXPECT_EQ(strip.contexts.front().generation, 7u);
  EXPECT_EQ(strip.contexts_before, 7u);
  EXPECT_EQ(strip.runs.size(), Strips::kOfIdMax);
  EXPECT_EQ(strip.runs.back().execution_id, absl::StrCat("r", many - 1));
  EXPECT_EQ(strip.runs_before, 7u);
  EXPECT_EQ(strip.starts.size(), Strips::kOfIdMax);
  EXPECT_EQ(strip.starts_before, 7u);
  EXPECT_EQ(strip.since, strip.recording_since);
}

TEST_F(StripsTest, InAllTheOldestIdsAreForgotten) {
  constexpr size_t kBytes = 120'000;
  Strips strips(clock_, kBytes);
  const std::string text(100'000, 'x');
  const auto answer = [&](std::string_view id) {
    strips.Answer(TestKey(id), {.identity = text, .peer = text},
                  Receipt(text, true));
    Pass(1);
  };
  answer("old");
  for (int i = 0; i < 100; ++i) {
    answer(absl::StrCat(i));
    answer("used");
    ASSERT_LE(strips.bytes(), kBytes);
  }
  EXPECT_GT(strips.bytes(), kBytes / 2);
  EXPECT_LT(strips.ids(), 50u);
  EXPECT_THAT(Words(strips.Read(TestKey("old"))), IsEmpty());
  EXPECT_THAT(Words(strips.Read(TestKey("0"))), IsEmpty());
  EXPECT_FALSE(strips.Read(TestKey("99")).starts.empty());
  // Of one that was forgotten, it is said from when on all is known.
  answer("old");
  const Strip old = strips.Read(TestKey("old"));
  EXPECT_GE(old.since, old.recording_since + absl::Seconds(100));
  EXPECT_LE(old.since, old.starts[0].time);
}

TEST_F(StripsTest, AFloodOfContextsLeavesOrchestrationsAndTheOtherWayRound) {
  Strips strips(clock_, 20'000);
  const auto open = [&strips](const std::string& id) {
    strips.OnEvent({.kind = InstanceEventKind::kCreated,
                    .tenant = kTestTenant,
                    .instance_id = id});
  };
  const auto begin = [&](const std::string& id) {
    strips.Begin(TestKey(id), "r", "", clock_.Now());
  };
  open("a");
  begin("a");
  for (int i = 0; i < 1000; ++i) open(absl::StrCat("room-", i));
  EXPECT_EQ(strips.Read(TestKey("a")).runs.size(), 1u);
  for (int i = 0; i < 1000; ++i) begin(absl::StrCat("run-", i));
  EXPECT_EQ(strips.Read(TestKey("room-999")).contexts.size(), 1u);
  EXPECT_EQ(strips.Read(TestKey("a")).runs.size(), 0u);
  EXPECT_LE(strips.bytes(), 20'000u);
}

TEST_F(StripsTest, ALargeRecordLeavesWhatIsCounted) {
  for (int i = 0; i < 500; ++i) {
    Answer("a", Receipt(absl::StrCat("a-long-name-of-a-run-", i), true));
    strips_.Begin(TestKey("a"), absl::StrCat(i), "", clock_.Now());
    strips_.Rename(TestKey("a"), absl::StrCat("renamed-", i));
  }
  Open("a", 1);
  strips_.Forget(TestKey("a"));
  Close("a", 1);
  EXPECT_EQ(strips_.bytes(), 0u);
  EXPECT_EQ(strips_.ids(), 0u);
}

TEST_F(StripsTest, TenantsNeverMeet) {
  Open("a", 1);
  Open("a", 2, "other");
  EXPECT_THAT(Shown("a"), ElementsAre("context 1 0-?"));
  EXPECT_THAT(Words(strips_.Read({"other", "a"})),
              ElementsAre("context 2 0-?"));
  strips_.ForgetTenant("other");
  Close("a", 2, DetachReason::kIdle, "other");
  EXPECT_THAT(Words(strips_.Read({"other", "a"})), IsEmpty());
  EXPECT_THAT(Shown("a"), ElementsAre("context 1 0-?"));
}

TEST_F(StripsTest, AWipeLeavesOnlyContextsThatAreOpenUntilTheyClose) {
  Open("a", 1);
  Close("a", 1);
  Open("a", 2);
  strips_.Begin(TestKey("a"), "r", "", clock_.Now());
  Answer("a", Receipt("r", true));
  Open("b", 3);
  Close("b", 3);
  Pass(1);
  strips_.ForgetTenant(kTestTenant);
  EXPECT_THAT(Shown("a"), ElementsAre("context 2 0-?"));
  EXPECT_THAT(Shown("b"), IsEmpty());
  EXPECT_EQ(strips_.ids(), 1u);
  Close("a", 2);
  EXPECT_EQ(strips_.ids(), 0u);
  EXPECT_THAT(Shown("a"), IsEmpty());
  EXPECT_EQ(Read("a").since, Read("a").recording_since + absl::Seconds(1));
}

TEST_F(StripsTest, APurgeForgetsOneId) {
  for (const char* id : {"a", "b"}) {
    strips_.Begin(TestKey(id), "r", "", clock_.Now());
    strips_.End(TestKey(id), "r", kCompleted, clock_.Now());
  }
  strips_.Forget(TestKey("a"));
  strips_.Forget(TestKey("none"));
  EXPECT_THAT(Shown("a"), IsEmpty());
  EXPECT_THAT(Shown("b"), ElementsAre("run r 0-0 Completed"));
}

TEST_F(StripsTest, AnEndWhoseBeginningIsNotKnownIsShown) {
  Pass(3);
  strips_.End(TestKey("a"), "r", kCompleted, clock_.Now());
  EXPECT_THAT(Shown("a"), ElementsAre("run r ?-3 Completed"));
}

TEST_F(StripsTest, ARewindGoesOnUnderAnotherId) {
  strips_.Begin(TestKey("a"), "r", "", clock_.Now());
  strips_.End(TestKey("a"), "r", OrchestrationStatus::kFailed, clock_.Now());
  strips_.Rename(TestKey("a"), "not yet");
  Pass(1);
  strips_.Begin(TestKey("a"), "r", "", clock_.Now());
  strips_.Rename(TestKey("a"), "s");
  Pass(1);
  strips_.End(TestKey("a"), "s", kCompleted, clock_.Now());
  EXPECT_THAT(Shown("a"),
              ElementsAre("run r 0-0 Failed", "run s 1-2 Completed"));
}

TEST_F(StripsTest, ItsVersionChangesWithIt) {
  EXPECT_EQ(strips_.VersionOf(TestKey("a")), 0u);
  Open("a", 1);
  const uint64_t opened = strips_.VersionOf(TestKey("a"));
  Open("b", 2);
  EXPECT_EQ(strips_.VersionOf(TestKey("a")), opened);
  Close("a", 1);
  const uint64_t closed = strips_.VersionOf(TestKey("a"));
  EXPECT_NE(closed, opened);
  strips_.Forget(TestKey("a"));
  EXPECT_NE(strips_.VersionOf(TestKey("a")), closed);
}

TEST_F(StripsTest, TheCloseOfAContextThatWasForgottenSaysFromWhenOnAllIsKnown) {
  strips_.Begin(TestKey("a"), "r", "", clock_.Now());
  Pass(5);
  Close("a", 1);  // Opened before the record began.
  EXPECT_THAT(Shown("a"), ElementsAre("run r 0-?"));
  EXPECT_EQ(Read("a").since, Read("a").recording_since + absl::Seconds(5));
}

// The order in which the registry tells: contexts of an ID never overlap,
// though a call waits for the next one while the last one closes.
class StripsOfRegistryTest : public InstanceRegistryTest {
 protected:
  StripsOfRegistryTest() { observers_ = {&strips_}; }
  Strips strips_{clock_};
};

TEST_F(StripsOfRegistryTest, ContextsOfAnIdNeverOverlap) {
  for (int i = 0; i < 5; ++i) {
    Use("a");
    clock_.Advance(absl::Seconds(3));
    ASSERT_TRUE(Release("a").ok());
    FakeCall next("a");
    next.Ask(registry());  // Waits for the one that closes, and opens another.
    executor_.RunAll();
    ASSERT_TRUE(next.answered());
    next.Finish();
    Pass(kTimeout);
    Pass(kTick);
  }
  const Strip strip = strips_.Read(TestKey("a"));
  ASSERT_EQ(strip.contexts.size(), 10u);
  for (size_t i = 0; i < strip.contexts.size(); ++i) {
    const Strip::Context& one = strip.contexts[i];
    ASSERT_TRUE(one.closed.has_value());
    EXPECT_LE(one.opened, *one.closed);
    EXPECT_EQ(one.reason,
              i % 2 == 0 ? DetachReason::kReleased : DetachReason::kIdle);
    if (i == 0) continue;
    EXPECT_LT(strip.contexts[i - 1].generation, one.generation);
    EXPECT_LE(*strip.contexts[i - 1].closed, one.opened);
  }
}

}  // namespace
}  // namespace leasehold
