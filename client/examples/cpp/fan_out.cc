// Many activities at once, and the sum of their results.
//
// usage: fan_out [ADDRESS]
#include "fan_out.h"

#include <cstdio>
#include <string>
#include <vector>

#include "leasehold/client/orchestrations/orchestration_client.h"
#include "leasehold/client/worker/worker.h"

using leasehold::client::OrchestrationClient;
using leasehold::worker::Worker;

int main(int argc, char** argv) {
  const std::string address = argc > 1 ? argv[1] : "localhost:4001";
  Worker worker(address);
  worker.AddActivity("Square", &Square);
  worker.AddOrchestrator("SumOfSquares", &SumOfSquares);
  if (const absl::Status status = worker.Start(); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }

  const auto client = OrchestrationClient::Connect(address);
  const auto receipt =
      (*client)->Start({.name = "SumOfSquares", .input = "50"});
  if (!receipt.ok()) {
    std::fprintf(stderr, "%s\n", receipt.status().ToString().c_str());
    return 1;
  }
  const auto state =
      (*client)->WaitForCompletion(receipt->instance_id, absl::Minutes(1));
  std::printf("%s\n", state.ok() ? state->output.value_or("").c_str()
                                 : state.status().ToString().c_str());
  return state.ok() ? 0 : 1;
}
