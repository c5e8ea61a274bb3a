#include "client/testing/activity_script.h"

#include <utility>

namespace leasehold::testkit {

ActivityScript& ActivityScript::FailNext(int calls, std::string message) {
  worker::TaskFailure failure;
  failure.error_type = "TestFailure";
  failure.error_message = std::move(message);
  return FailNext(calls, std::move(failure));
}

ActivityScript& ActivityScript::FailNext(int calls,
                                         worker::TaskFailure failure) {
  for (int i = 0; i < calls; ++i) steps_.push_back({.failure = failure});
  return *this;
}

ActivityScript& ActivityScript::DisturbNext(int calls, WorkerFault fault) {
  for (int i = 0; i < calls; ++i) steps_.push_back({.fault = fault});
  return *this;
}

ActivityScript& ActivityScript::Takes(absl::Duration duration) {
  duration_ = duration;
  return *this;
}

ActivityScript::Step ActivityScript::Take() {
  if (steps_.empty()) return {};
  Step step = std::move(steps_.front());
  steps_.pop_front();
  return step;
}

void ActivityScript::PutBack(Step step) {
  if (step.failure.has_value() || step.fault.has_value()) {
    steps_.push_front(std::move(step));
  }
}

}  // namespace leasehold::testkit
