// Runs seeded worlds whose registry has a planted bug.
//
//   planted_bug RULE     exit 0 if some seed of 1,000 breaks that promise
//
// Other promises may break as well, but that is not enough: the simulation must
// recognise a bug for what it is, and not by accident.

#include <cstdint>
#include <cstdio>
#include <string_view>

#include "tests/simulation/instance_world.h"
#include "tests/support/seed.h"

int main(int argc, char** argv) {
  using namespace leasehold;  // NOLINT: a main of one page.
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s RULE\n", argv[0]);
    return 2;
  }
  WorldCounts counts;
  for (uint64_t seed = 1; seed <= 1'000; ++seed) {
    Random random(seed);
    const WorldResult result = RunInstanceWorld(random, counts);
    if (!result.violation.has_value()) continue;
    const std::string_view rule = RuleName(result.violation->rule);
    std::printf("seed %llu breaks \"%.*s\": %s\n",
                static_cast<unsigned long long>(seed),
                static_cast<int>(rule.size()), rule.data(),
                result.violation->what.c_str());
    if (rule != argv[1]) continue;
    std::printf("%s", result.trace.c_str());
    return 0;
  }
  std::printf("no seed of 1,000 breaks \"%s\"\n", argv[1]);
  return 1;
}
