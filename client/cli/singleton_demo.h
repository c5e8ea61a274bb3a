// SingletonDemo: the second story of `leasehold demo`: a durable singleton is
// ensured twice, spoken to, ended, refused, and purged.
//
// What runs is the server's built-in Counter, so no worker is needed. A server
// without orchestrations has no such story, which is said.
//
// Thread-safety: one thread.   Lifetime: surroundings and output outlive it.
#ifndef LEASEHOLD_CLIENT_CLI_SINGLETON_DEMO_H_
#define LEASEHOLD_CLIENT_CLI_SINGLETON_DEMO_H_

#include <string>

#include "absl/status/status.h"
#include "client/cli/command.h"
#include "client/cli/output.h"
#include "client/orchestration_client.h"

namespace leasehold::client::cli {

class SingletonDemo {
 public:
  // `id`: of the singleton; fresh.
  SingletonDemo(std::string id, const GlobalOptions& global,
                Surroundings& surroundings, Output& output);

  // INTERNAL: the server does not do what is promised; as its calls otherwise.
  absl::Status Run();

 private:
  // Starts it unless it is there; whether this call did is promised.
  absl::Status Ensure(bool created);
  absl::Status Operate(const std::string& operation);
  // Waits until its custom status is that.
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
