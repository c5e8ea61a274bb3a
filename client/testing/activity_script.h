// ActivityScript: what happens to the calls of an activity in a test.
//
//   ActivityScript& charge = env.FakeActivity("Charge", [] { return 42; });
//   charge.FailNext(2).DisturbNext(1, WorkerFault::kAnswerLost);
//   …
//   EXPECT_EQ(charge.calls(), 4);
//
// What is scripted happens in that order, to one call after the other; calls
// after that are undisturbed.
//
// Thread-safety: one thread: the test's.   Lifetime: belongs to its
// environment.
#ifndef LEASEHOLD_CLIENT_TESTING_ACTIVITY_SCRIPT_H_
#define LEASEHOLD_CLIENT_TESTING_ACTIVITY_SCRIPT_H_

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/worker/failure.h"
#include "client/worker/payload.h"

namespace leasehold::testkit {

// What can happen between a worker and the server.
enum class WorkerFault {
  // The worker dies before it runs the code. The work goes to another one.
  kDiesBefore,
  // It runs the code and dies before it answers: the code runs again.
  kAnswerLost,
  // The same, but the first answer arrives after all, after the server has
  // given the work to another worker; so it comes too late.
  kAnswerLate,
  // The answer arrives twice.
  kAnswerTwice,
};

class ActivityScript {
 public:
  ActivityScript() = default;
  ActivityScript(const ActivityScript&) = delete;
  ActivityScript& operator=(const ActivityScript&) = delete;

  // The next calls fail instead of running the code.
  ActivityScript& FailNext(int calls = 1,
                           std::string message = "the test says so");
  ActivityScript& FailNext(int calls, worker::TaskFailure failure);
  // The next calls are disturbed in this way.
  ActivityScript& DisturbNext(int calls, WorkerFault fault);
  // How long each call takes from now on: virtual time from when a worker
  // begins to when it runs the code and answers. Default: no time.
  ActivityScript& Takes(absl::Duration duration);

  // How often the code was run, or failed as scripted.
  int calls() const { return static_cast<int>(inputs_.size()); }
  // The input of each of these calls. PayloadError: one of them is not a T.
  template <typename T>
  std::vector<T> Inputs() const {
    std::vector<T> inputs;
    for (const worker::Payload& input : inputs_) {
      inputs.push_back(worker::FromPayload<T>(input));
    }
    return inputs;
  }

  // ---- For the environment --------------------------------------------------

  struct Step {
    std::optional<worker::TaskFailure> failure = {};
    std::optional<WorkerFault> fault = {};
  };
  // What happens to the call that a worker begins now.
  Step Take();
  // The worker of that call was lost for another reason: it is still to come.
  void PutBack(Step step);
  void NoteCall(worker::Payload input) { inputs_.push_back(std::move(input)); }
  absl::Duration duration() const { return duration_; }

 private:
  absl::Duration duration_ = absl::ZeroDuration();
  std::deque<Step> steps_;
  std::vector<worker::Payload> inputs_;
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_ACTIVITY_SCRIPT_H_
