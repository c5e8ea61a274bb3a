// Keeps exactly one orchestration with an ID running: the first caller starts
// it, all others attach to it.
//
// usage: ensure_singleton [ADDRESS [ID]]
//
// It is the server's built-in Counter, so this program needs no worker.
#include <cstdio>
#include <string>

#include "leasehold/client/orchestrations/orchestration_client.h"

using leasehold::client::IfActive;
using leasehold::client::IfFinished;
using leasehold::client::OrchestrationClient;

int main(int argc, char** argv) {
  const std::string address = argc > 1 ? argv[1] : "localhost:4001";
  const std::string id = argc > 2 ? argv[2] : "nightly";
  const auto client = OrchestrationClient::Connect(address);
  if (!client.ok()) {
    std::fprintf(stderr, "%s\n", client.status().ToString().c_str());
    return 1;
  }

  const auto receipt = (*client)->Start({.name = "Counter",
                                         .instance_id = id,
                                         .input = "0",
                                         .if_active = IfActive::kAttach,
                                         .if_finished = IfFinished::kReplace});
  if (!receipt.ok()) {
    std::fprintf(stderr, "%s\n", receipt.status().ToString().c_str());
    return 1;
  }
  if (receipt->created) {
    std::printf("Creating singleton instance with ID = %s\n", id.c_str());
  } else {
    std::printf("An instance with ID = %s exists already\n", id.c_str());
  }
  return 0;
}
