#include "client/session/session_identity.h"

#include <utility>

namespace leasehold::client {

SessionIdentity::SessionIdentity(Options options)
    : options_(std::move(options)),
      instance_id_(options_.instance_id),
      opened_(!options_.instance_id.empty() &&
              options_.expect == Expect::kAny) {}

absl::Status SessionIdentity::Prepare(
    grpc::ClientContext& context,
    std::chrono::system_clock::time_point deadline) {
  MutexLock lock(mu_);
  while (!opened_ && first_call_ != nullptr && first_call_ != &context) {
    if (!first_call_done_.WaitUntil(mu_, deadline)) {
      return absl::DeadlineExceededError(
          "the session's first call has not returned yet");
    }
  }
  if (!opened_) {
    first_call_ = &context;
    AddExpect(options_.expect, context);
  }
  if (!instance_id_.empty()) AddInstanceId(instance_id_, context);
  if (options_.idle_timeout.has_value()) {
    AddIdleTimeout(*options_.idle_timeout, context);
  }
  return absl::OkStatus();
}

std::optional<SessionIdentity::Change> SessionIdentity::Learn(
    const grpc::ClientContext& context,
    const std::optional<std::string>& instance_id,
    std::optional<uint64_t> generation) {
  MutexLock lock(mu_);
  if (instance_id_.empty() && instance_id.has_value()) {
    instance_id_ = *instance_id;
  }
  if (first_call_ == &context) {
    first_call_ = nullptr;
    // A call that reached the context has its generation. If it failed, the
    // next call is the first.
    opened_ = generation.has_value() && !instance_id_.empty();
    first_call_done_.NotifyAll();
  }
  if (!generation.has_value()) return std::nullopt;
  return LearnGenerationLocked(*generation);
}

void SessionIdentity::Forget(const grpc::ClientContext& context) {
  MutexLock lock(mu_);
  if (first_call_ != &context) return;
  first_call_ = nullptr;
  first_call_done_.NotifyAll();
}

std::optional<SessionIdentity::Change> SessionIdentity::LearnGeneration(
    uint64_t generation) {
  MutexLock lock(mu_);
  return LearnGenerationLocked(generation);
}

std::optional<SessionIdentity::Change> SessionIdentity::LearnGenerationLocked(
    uint64_t generation) {
  // A lower one is from a late answer: generations only grow.
  if (generation <= generation_) return std::nullopt;
  const uint64_t before = std::exchange(generation_, generation);
  if (before == 0) return std::nullopt;
  return Change{before, generation};
}

void SessionIdentity::Announce(const std::optional<Change>& change) const {
  if (change.has_value() && options_.on_generation_change != nullptr) {
    options_.on_generation_change(change->before, change->after);
  }
}

bool SessionIdentity::opened() const {
  MutexLock lock(mu_);
  return opened_;
}

std::string SessionIdentity::instance_id() const {
  MutexLock lock(mu_);
  return instance_id_;
}

uint64_t SessionIdentity::generation() const {
  MutexLock lock(mu_);
  return generation_;
}

}  // namespace leasehold::client
