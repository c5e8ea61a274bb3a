// ActivityOptions and SubOrchestrationOptions: how a call differs from the
// default.
//
//   ctx.CallSubOrchestrator<int>("Ship", order,
//                                SubOrchestrationOptions().Id("ship-7"));
//
// They have constructors, so they may be temporaries in a co_await expression.
//
// Thread-safety: values.   Lifetime: no references.
#ifndef LEASEHOLD_CLIENT_WORKER_CALL_OPTIONS_H_
#define LEASEHOLD_CLIENT_WORKER_CALL_OPTIONS_H_

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "client/worker/retry_policy.h"

namespace leasehold::worker {

// What both have in common. `Options`: the derived class.
template <typename Options>
class CallOptions {
 public:
  // How a failed call is retried. Default: not at all.
  Options& Retry(RetryPolicy policy) {
    retry_ = std::move(policy);
    return self();
  }
  Options& Version(std::string version) {
    version_ = std::move(version);
    return self();
  }
  // Adds a tag. The server passes tags on with the work.
  Options& Tag(const std::string& key, std::string value) {
    tags_[key] = std::move(value);
    return self();
  }

  const std::optional<RetryPolicy>& retry() const { return retry_; }
  const std::optional<std::string>& version() const { return version_; }
  const std::map<std::string, std::string>& tags() const { return tags_; }

 protected:
  CallOptions() = default;

 private:
  Options& self() { return static_cast<Options&>(*this); }

  std::optional<RetryPolicy> retry_;
  std::optional<std::string> version_;
  std::map<std::string, std::string> tags_;
};

class ActivityOptions final : public CallOptions<ActivityOptions> {
 public:
  ActivityOptions() = default;
  // Implicit: most calls need only a policy.
  ActivityOptions(RetryPolicy policy) { Retry(std::move(policy)); }
};

class SubOrchestrationOptions final
    : public CallOptions<SubOrchestrationOptions> {
 public:
  SubOrchestrationOptions() = default;
  SubOrchestrationOptions(RetryPolicy policy) { Retry(std::move(policy)); }

  // The child's instance ID. By default each call gets a new one: the parent's
  // execution ID and the number of the task. If the ID is active, the call
  // fails; if it has ended, the child replaces it.
  SubOrchestrationOptions& Id(std::string instance_id) {
    instance_id_ = std::move(instance_id);
    return *this;
  }
  const std::optional<std::string>& instance_id() const { return instance_id_; }

 private:
  std::optional<std::string> instance_id_;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_CALL_OPTIONS_H_
