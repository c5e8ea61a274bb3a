#include <cstdio>
#include <string>

#include "leasehold/client/worker/worker.h"

using leasehold::worker::OrchestrationContext, leasehold::worker::Task;

std::string Hello(const std::string& name) { return "Hello, " + name + "!"; }

Task<std::string> Greetings(OrchestrationContext& context) {
  std::string all;
  for (const std::string city : {"Tokyo", "Seattle", "London"}) {
    all += co_await context.CallActivity<std::string>("Hello", city) + " ";
  }
  co_return all;
}

int main(int argc, char** argv) {
  leasehold::worker::Worker worker(argc > 1 ? argv[1] : "localhost:4001");
  worker.AddActivity("Hello", &Hello);
  worker.AddOrchestrator("Greetings", &Greetings);
  if (!worker.Start().ok()) return 1;
  std::puts("Enter ends it.");
  std::getchar();
}
