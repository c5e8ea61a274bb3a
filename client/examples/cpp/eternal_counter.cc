// A counter that lives for ever: its state is its input, and it continues as
// new with each operation, so that its history never grows.
//
// usage: eternal_counter [ADDRESS [ID]]
#include "eternal_counter.h"

#include <cstdio>
#include <string>

#include "leasehold/client/orchestrations/orchestration_client.h"
#include "leasehold/client/worker/worker.h"

using leasehold::client::OrchestrationClient;
using leasehold::worker::Worker;

int main(int argc, char** argv) {
  const std::string address = argc > 1 ? argv[1] : "localhost:4001";
  const std::string id = argc > 2 ? argv[2] : "tally";
  Worker worker(address);
  worker.AddOrchestrator("Tally", &Tally);
  if (const absl::Status status = worker.Start(); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }

  const auto client = OrchestrationClient::Connect(address);
  const auto receipt =
      (*client)->Start({.name = "Tally", .instance_id = id, .input = "0"});
  if (!receipt.ok()) {
    std::fprintf(stderr, "%s\n", receipt.status().ToString().c_str());
    return 1;
  }
  for (const char* operation : {"incr", "incr", "incr", "decr", "end"}) {
    const std::string input = '"' + std::string(operation) + '"';
    const auto raised = (*client)->RaiseEvent(id, "operation", input);
    if (!raised.ok()) std::fprintf(stderr, "%s\n", raised.ToString().c_str());
  }
  const auto state = (*client)->WaitForCompletion(id, absl::Minutes(1));
  std::printf("%s\n", state.ok() ? state->output.value_or("").c_str()
                                 : state.status().ToString().c_str());
  return state.ok() ? 0 : 1;
}
