#include "service/tracing/span_exporter.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lease/base/mutex.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A collector that answers as a test says, each answer once; then it takes all.
class FakeSender final : public SpanSender {
 public:
  absl::Status Send(const std::vector<Span>& spans, absl::Duration,
                    uint64_t& refused) override {
    MutexLock lock(mu_);
    sizes_.push_back(spans.size());
    tried_.NotifyAll();
    refused = std::exchange(refuses, 0);
    if (answers.empty()) return absl::OkStatus();
    absl::Status answer = answers.front();
    answers.erase(answers.begin());
    return answer;
  }
  void Hurry(absl::Duration) override { hurried = true; }

  void AwaitTries(size_t count) {
    MutexLock lock(mu_);
    while (sizes_.size() < count) tried_.Wait(mu_);
  }
  std::vector<size_t> sizes() {
    MutexLock lock(mu_);
    return sizes_;
  }

  std::vector<absl::Status> answers;
  uint64_t refuses = 0;
  bool hurried = false;

 private:
  Mutex mu_;
  CondVar tried_;
  std::vector<size_t> sizes_ ABSL_GUARDED_BY(mu_);
};

class SpanExporterTest : public testing::Test {
 protected:
  void Start() {
    exporter_.emplace(clock_, queue_, sender_, absl::Seconds(10),
                      [this](uint64_t count, const absl::Status& why) {
                        dropped_.push_back(absl::StrCat(
                            count, " ", absl::StatusCodeToString(why.code())));
                      });
  }
  void Add(int count) {
    for (int i = 0; i < count; ++i) queue_.Add(Span());
  }

  SimulatedClock clock_;
  SpanQueue queue_{
      clock_, {.spans_max = 4, .batch_max = 2, .patience = absl::Seconds(5)}};
  FakeSender sender_;
  std::vector<std::string> dropped_;  // Read once the exporter has stopped.
  std::optional<SpanExporter> exporter_;
};

TEST_F(SpanExporterTest, SendsBatchesAndWhatIsLeftAtTheEnd) {
  Add(3);
  Start();
  sender_.AwaitTries(1);
  exporter_->Stop();
  EXPECT_THAT(sender_.sizes(), ElementsAre(2, 1));
  EXPECT_TRUE(sender_.hurried);
  EXPECT_THAT(dropped_, IsEmpty());
  EXPECT_EQ(queue_.dropped(), 0);
}

TEST_F(SpanExporterTest, TriesAgainWhatTheCollectorCannotTakeNow) {
  sender_.answers = {absl::UnavailableError("down"),
                     absl::UnavailableError("down")};
  Add(2);
  Start();
  sender_.AwaitTries(1);
  clock_.AwaitWaiter(clock_.Now() + absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  sender_.AwaitTries(2);
  clock_.AwaitWaiter(clock_.Now() + absl::Seconds(2));
  clock_.Advance(absl::Seconds(2));
  sender_.AwaitTries(3);
  exporter_->Stop();
  EXPECT_THAT(sender_.sizes(), ElementsAre(2, 2, 2));
  EXPECT_EQ(queue_.dropped(), 0);
}

TEST_F(SpanExporterTest, GivesUpAfterFiveTries) {
  sender_.answers.assign(5, absl::UnavailableError("down"));
  Add(2);
  Start();
  for (int tries = 1; tries < 5; ++tries) {
    sender_.AwaitTries(static_cast<size_t>(tries));
    const absl::Duration pause = absl::Seconds(1 << (tries - 1));
    clock_.AwaitWaiter(clock_.Now() + pause);
    clock_.Advance(pause);
  }
  sender_.AwaitTries(5);
  exporter_->Stop();
  EXPECT_THAT(dropped_, ElementsAre("2 UNAVAILABLE"));
  EXPECT_EQ(queue_.dropped(), 2);
}

TEST_F(SpanExporterTest, DropsWhatTheCollectorRefuses) {
  sender_.answers = {absl::UnauthenticatedError("who are you?")};
  Add(2);
  Start();
  sender_.AwaitTries(1);
  exporter_->Stop();
  EXPECT_THAT(sender_.sizes(), ElementsAre(2));
  EXPECT_THAT(dropped_, ElementsAre("2 UNAUTHENTICATED"));
}

TEST_F(SpanExporterTest, CountsThePartThatTheCollectorRefuses) {
  sender_.refuses = 1;
  Add(2);
  Start();
  sender_.AwaitTries(1);
  exporter_->Stop();
  EXPECT_EQ(queue_.dropped(), 1);
  EXPECT_THAT(dropped_, ElementsAre("1 INVALID_ARGUMENT"));
}

TEST_F(SpanExporterTest, TellsOfThoseThatHadNoRoom) {
  Add(7);
  Start();
  sender_.AwaitTries(2);
  exporter_->Stop();
  EXPECT_EQ(queue_.dropped(), 3);
  EXPECT_THAT(dropped_, ElementsAre("3 RESOURCE_EXHAUSTED"));
}

TEST_F(SpanExporterTest, TheEndDoesNotWaitUntilItTriesAgain) {
  sender_.answers.assign(5, absl::UnavailableError("down"));
  Add(2);
  Start();
  sender_.AwaitTries(1);
  clock_.AwaitWaiter(clock_.Now() + absl::Seconds(1));
  exporter_->Stop();
  EXPECT_THAT(sender_.sizes(), ElementsAre(2));
  EXPECT_EQ(queue_.dropped(), 2);
}

}  // namespace
}  // namespace leasehold
