// Accounts as entities, and a transfer that has two of them to itself. At the
// end it asks for the balance of one, outside of any orchestration.
//
// usage: bank [ADDRESS]
#include "bank.h"

#include <cstdio>
#include <string>

#include "leasehold/client/entities/entity_client.h"
#include "leasehold/client/orchestrations/orchestration_client.h"
#include "leasehold/client/worker/worker.h"

using leasehold::client::EntityClient;
using leasehold::client::OrchestrationClient;
using leasehold::worker::Worker;

int main(int argc, char** argv) {
  const std::string address = argc > 1 ? argv[1] : "localhost:4001";
  Worker worker(address);
  worker.AddEntity("Account", AccountEntity());
  worker.AddEntity("Ledger", &Ledger);
  worker.AddOrchestrator("Transfer", &Transfer);
  worker.AddOrchestrator("Payday", &Payday);
  if (const absl::Status status = worker.Start(); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }

  const auto client = OrchestrationClient::Connect(address);
  const auto receipt = (*client)->Start({.name = "Payday"});
  if (!receipt.ok()) {
    std::fprintf(stderr, "%s\n", receipt.status().ToString().c_str());
    return 1;
  }
  const auto state =
      (*client)->WaitForCompletion(receipt->instance_id, absl::Minutes(1));
  std::printf("%s\n", state.ok() ? state->output.value_or("").c_str()
                                 : state.status().ToString().c_str());

  const auto entities = EntityClient::Connect(address);
  const auto balance = (*entities)->Call(
      {.instance_id = "@account@ann", .operation = "balance"});
  std::printf("@account@ann: %s\n", balance.ok()
                                        ? balance->value_or("").c_str()
                                        : balance.status().ToString().c_str());
  return state.ok() && balance.ok() ? 0 : 1;
}
