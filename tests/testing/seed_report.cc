// Prints the histories of a few orchestrations that run with a seed.
//
// usage: seed_report SEED
#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"
#include "client/testing/test_environment.h"
#include "tests/testing/testing_code.h"

namespace leasehold::testkit {
namespace {

void Report(uint64_t seed) {
  TestEnvironment env({.seed = seed,
                       .workers = 3,
                       .fault_chance = 0.1,
                       .restart_chance = 0.01});
  env.AddOrchestrator("Race", &Race);
  env.AddOrchestrator("Parent", &Parent);
  env.AddOrchestrator("Child", &Race);
  env.AddOrchestrator("Calendar", &Calendar);
  env.FakeActivity("Step", [](int i) { return std::to_string(i); });
  const TestOrchestration all[] = {env.Start("Race", 6), env.Start("Parent"),
                                   env.Start("Race", 4),
                                   env.Start("Calendar", 1)};
  env.Advance(absl::Hours(72));
  for (const TestOrchestration& each : all) {
    for (const std::string& line : each.History()) std::puts(line.c_str());
  }
}

}  // namespace
}  // namespace leasehold::testkit

int main(int argc, char** argv) {
  uint64_t seed = 0;
  if (argc != 2 || !absl::SimpleAtoi(argv[1], &seed)) return 2;
  leasehold::testkit::Report(seed);
  return 0;
}
