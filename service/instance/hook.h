// HookDone and HookChain: run user code step by step.
//
// A hook (an initializer, an OnDetach) may finish inside its call or later. It
// receives a HookDone and answers through it once. A chain runs such hooks one
// after another on an executor; it never recurses, however many there are, and
// never runs a hook on the thread that answered for the previous one.
//
// Thread-safety: safe.   Lifetime: a chain keeps itself alive until its end.
#ifndef LEASEHOLD_SERVICE_INSTANCE_HOOK_H_
#define LEASEHOLD_SERVICE_INSTANCE_HOOK_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "lease/base/mutex.h"
#include "service/instance/executor.h"

namespace leasehold {

// The text of the exception being handled. REQUIRES: there is one.
std::string WhatWasThrown();

// A hook's answer: called once, from any thread, inside the hook or later. If
// destroyed without being called, it answers with an error, so that a forgotten
// answer cannot block a key forever.
class HookDone {
 public:
  explicit HookDone(std::function<void(absl::Status)> answer)
      : answer_(std::move(answer)) {}
  HookDone(HookDone&& other) noexcept
      : answer_(std::exchange(other.answer_, nullptr)) {}
  HookDone& operator=(HookDone&&) = delete;
  ~HookDone();

  // Reports that the hook is done, with its result. Later calls do nothing.
  void operator()(absl::Status status = absl::OkStatus());

 private:
  std::function<void(absl::Status)> answer_;
};

class HookChain : public std::enable_shared_from_this<HookChain> {
 public:
  struct Steps {
    size_t count = 0;
    // Starts hook `i`. An exception becomes an Internal status, whatever the
    // hook has answered before.
    std::function<void(size_t i, HookDone done)> run;
    // Hook `i` has answered. Returning false ends the chain.
    std::function<bool(size_t i, const absl::Status& status)> answered;
    // Called after the last answer; no hook is running.
    std::function<void()> end;
    // Names hook `i` in the status when it throws; if not set: `it`.
    std::function<std::string(size_t i)> name = {};
  };

  // Runs the chain, beginning on the calling thread, which must be one of
  // `executor`.
  static void Run(Executor& executor, Steps steps) {
    Make(executor, std::move(steps))->Begin();
  }

  // Like Run in two parts, for a chain that may be abandoned.
  static std::shared_ptr<HookChain> Make(Executor& executor, Steps steps);
  void Begin() { Loop(); }
  // Skips to the end. Does not wait for a hook that has returned and not yet
  // answered, but does wait for one that is still inside its call. The end runs
  // on the executor, or where the chain runs. Does nothing once the end has
  // begun.
  void Abandon() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // kReady: between two hooks.
  enum class Phase { kReady, kRunning, kSuspended, kAnswered };

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
  Phase phase_ ABSL_GUARDED_BY(mu_) = Phase::kReady;
  bool abandoned_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_HOOK_H_
