// SingletonDemo: the second part of `leasehold demo`. A durable singleton is
// ensured twice, gets events, ends, is refused a second start, and is purged.
//
// It is the server's built-in Counter, so no worker is needed. If the server
// has no orchestrations, the demo says so and skips this part.
//
// Thread-safety: one thread.   Lifetime: surroundings and output outlive it.
#ifndef LEASEHOLD_CLIENT_CLI_SINGLETON_DEMO_H_
#define LEASEHOLD_CLIENT_CLI_SINGLETON_DEMO_H_

#include <string>

#include "absl/status/status.h"
#include "client/cli/command.h"
#include "client/cli/output.h"
#include "client/orchestrations/orchestration_client.h"

namespace leasehold::client::cli {

class SingletonDemo {
 public:
  // `id`: the singleton's, which must be unused.
  SingletonDemo(std::string id, const GlobalOptions& global,
                Surroundings& surroundings, Output& output);

  // INTERNAL: the server does not do what is promised. Otherwise a call's
  // error.
  absl::Status Run();

 private:
  // Starts it unless it exists; fails unless `created` says which was so.
  absl::Status Ensure(bool created);
  absl::Status Operate(const std::string& operation);
  // Waits until its custom status is `value`.
  absl::Status AwaitValue(const std::string& value);
  absl::Status End();
  absl::Status Refuse();

  const std::string id_;
  Surroundings& surroundings_;
  Output& output_;
  OrchestrationClient client_;
  std::string execution_id_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_SINGLETON_DEMO_H_
