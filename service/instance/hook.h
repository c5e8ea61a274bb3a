// HookDone and HookChain: other people's code, run step by step.
//
// A hook (an initializer, an OnDetach) may finish in its call or later. It is
// handed a HookDone and answers through it once. A chain runs such hooks one
// after another on an executor; it never recurses, however many there are, and
// never runs one on the thread that answered for the one before.
//
// Thread-safety: safe.   Lifetime: a chain keeps itself alive until its end.
#ifndef LEASEHOLD_SERVICE_INSTANCE_HOOK_H_
#define LEASEHOLD_SERVICE_INSTANCE_HOOK_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "lease/mutex.h"
#include "service/instance/executor.h"

namespace leasehold {

// A hook's answer: called once, from any thread, then or later. Destroyed
// without being called, it answers for itself with an error, so that a
// forgotten answer cannot hold a key for ever.
class HookDone {
 public:
  explicit HookDone(std::function<void(absl::Status)> answer)
      : answer_(std::move(answer)) {}
  HookDone(HookDone&& other) noexcept
      : answer_(std::exchange(other.answer_, nullptr)) {}
  HookDone& operator=(HookDone&&) = delete;
  ~HookDone();

  // The hook is done, well or not. Later calls do nothing.
  void operator()(absl::Status status = absl::OkStatus());

 private:
  std::function<void(absl::Status)> answer_;
};

class HookChain : public std::enable_shared_from_this<HookChain> {
 public:
  struct Steps {
    size_t count = 0;
    // Starts hook `i`. What it throws becomes an Internal status, whatever it
    // has answered before.
    std::function<void(size_t i, HookDone done)> run;
    // Hook `i` has answered. False: the chain ends here.
    std::function<bool(size_t i, const absl::Status& status)> answered;
    // After the last answer; no hook is running.
    std::function<void()> end;
  };

  // Runs the chain, beginning on the calling thread, which must be one of
  // `executor`.
  static void Run(Executor& executor, Steps steps);

 private:
  enum class Phase { kRunning, kSuspended, kAnswered };

  HookChain(Executor& executor, Steps steps)
      : executor_(executor), steps_(std::move(steps)) {}
  void Loop() ABSL_LOCKS_EXCLUDED(mu_);
  void RunStep(size_t i) ABSL_LOCKS_EXCLUDED(mu_);
  void Answer(size_t i, absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  void Threw(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  Executor& executor_;
  const Steps steps_;

  Mutex mu_;
  size_t step_ ABSL_GUARDED_BY(mu_) = 0;
  Phase phase_ ABSL_GUARDED_BY(mu_) = Phase::kSuspended;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_HOOK_H_
