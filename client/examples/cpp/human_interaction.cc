// Asks a person for an approval, with a time-out.
//
// usage: human_interaction [ADDRESS [yes|no|silence]]
#include "human_interaction.h"

#include <cstdio>
#include <optional>
#include <string>

#include "leasehold/client/orchestrations/orchestration_client.h"
#include "leasehold/client/worker/worker.h"

using leasehold::client::OrchestrationClient;
using leasehold::worker::Worker;

int main(int argc, char** argv) {
  const std::string address = argc > 1 ? argv[1] : "localhost:4001";
  const std::string answer = argc > 2 ? argv[2] : "yes";
  Worker worker(address);
  worker.AddOrchestrator("Approval", &Approval);
  if (const absl::Status status = worker.Start(); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }

  const auto client = OrchestrationClient::Connect(address);
  const bool silence = answer == "silence";
  const auto receipt = (*client)->Start(
      {.name = "Approval", .input = silence ? "100" : "60000"});
  if (!receipt.ok()) {
    std::fprintf(stderr, "%s\n", receipt.status().ToString().c_str());
    return 1;
  }
  const std::string& id = receipt->instance_id;
  if (!silence) {
    const std::string decision = answer == "yes" ? "true" : "false";
    const auto raised = (*client)->RaiseEvent(id, "decision", decision);
    if (!raised.ok()) std::fprintf(stderr, "%s\n", raised.ToString().c_str());
  }
  const auto state = (*client)->WaitForCompletion(id, absl::Minutes(1));
  std::printf("%s\n", state.ok() ? state->output.value_or("").c_str()
                                 : state.status().ToString().c_str());
  return state.ok() ? 0 : 1;
}
