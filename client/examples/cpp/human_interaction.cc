// Asks a person for an approval, with a time-out.
//
// usage: human_interaction [ADDRESS [yes|no|silence]]
#include <cstdio>
#include <optional>
#include <string>

#include "leasehold/client/orchestrations/orchestration_client.h"
#include "leasehold/client/worker/worker.h"

using leasehold::client::OrchestrationClient;
using leasehold::worker::OrchestrationContext;
using leasehold::worker::Task;
using leasehold::worker::Worker;

Task<std::string> Approval(OrchestrationContext& context, int patience_ms) {
  context.SetCustomStatus("asked");
  const std::optional<bool> approved = co_await context.WaitForEvent<bool>(
      "decision", absl::Milliseconds(patience_ms));
  if (!approved.has_value()) co_return "nobody answered";
  co_return *approved ? "approved" : "refused";
}

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
