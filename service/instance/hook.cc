#include "service/instance/hook.h"

#include <exception>

#include "absl/strings/str_cat.h"

namespace leasehold {

std::string WhatWasThrown() {
  try {
    throw;
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "something that is not a std::exception";
  }
}

HookDone::~HookDone() {
  if (answer_ == nullptr) return;
  (*this)(absl::InternalError("the hook dropped its `done` without an answer"));
}

void HookDone::operator()(absl::Status status) {
  if (auto answer = std::exchange(answer_, nullptr)) {
    answer(std::move(status));
  }
}

std::shared_ptr<HookChain> HookChain::Make(Executor& executor, Steps steps) {
  return std::shared_ptr<HookChain>(new HookChain(executor, std::move(steps)));
}

void HookChain::Abandon() {
  {
    MutexLock lock(mu_);
    abandoned_ = true;
    // Otherwise Loop is running, and will see it.
    if (phase_ != Phase::kSuspended) return;
    phase_ = Phase::kAnswered;
  }
  executor_.Post([self = shared_from_this()] { self->Loop(); });
}

void HookChain::Loop() {
  for (;;) {
    size_t i;
    bool resumed;  // Hook `i` has run, and has answered since.
    {
      MutexLock lock(mu_);
      if (abandoned_) step_ = steps_.count;  // Later answers are ignored.
      i = step_;
      if (i == steps_.count) break;
      resumed = phase_ == Phase::kAnswered;
      if (!resumed) phase_ = Phase::kRunning;
    }
    if (!resumed) RunStep(i);
    absl::Status status;
    {
      MutexLock lock(mu_);
      if (phase_ == Phase::kRunning) {
        if (abandoned_) continue;
        phase_ = Phase::kSuspended;  // Answer posts the rest.
        return;
      }
      status = std::move(status_);
    }
    const bool go_on = steps_.answered(i, status);
    MutexLock lock(mu_);
    step_ = go_on ? i + 1 : steps_.count;
    phase_ = Phase::kReady;
  }
  steps_.end();
}

void HookChain::RunStep(size_t i) {
  try {
    steps_.run(i, HookDone([self = shared_from_this(), i](absl::Status status) {
                 self->Answer(i, std::move(status));
               }));
  } catch (...) {
    Threw(absl::InternalError(absl::StrCat(steps_.name ? steps_.name(i) : "it",
                                           " threw: ", WhatWasThrown())));
  }
}

void HookChain::Threw(absl::Status status) {
  MutexLock lock(mu_);
  // The hook dropped its `done` while unwinding, or gave it away: this status
  // is the better answer. The loop that called the hook is still at this step.
  phase_ = Phase::kAnswered;
  status_ = std::move(status);
}

void HookChain::Answer(size_t i, absl::Status status) {
  {
    MutexLock lock(mu_);
    if (i != step_ || phase_ == Phase::kAnswered) return;  // Answered before.
    const bool suspended = phase_ == Phase::kSuspended;
    phase_ = Phase::kAnswered;
    status_ = std::move(status);
    if (!suspended) return;  // Loop sees it when the hook returns.
  }
  executor_.Post([self = shared_from_this()] { self->Loop(); });
}

}  // namespace leasehold
