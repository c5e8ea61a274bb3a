#include "tests/support/seed.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

constexpr uint64_t kDefaultSeed = 20'200'401;

uint64_t FromEnvironment(const char* name, uint64_t by_default) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return by_default;
  uint64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) {
    // A run that silently used other seeds than requested would mislead.
    std::fprintf(stderr, "%s=\"%s\" is not a number\n", name, text);
    std::exit(2);
  }
  return value;
}

std::string HowToRunAgain(uint64_t seed) {
  const testing::TestInfo* test =
      testing::UnitTest::GetInstance()->current_test_info();
  return absl::StrCat(
      "seed ", seed, "; run it again with LEASEHOLD_SEED=", seed,
      " LEASEHOLD_SEEDS=1 and --gtest_filter=", test->test_suite_name(), ".",
      test->name());
}

}  // namespace

uint64_t BaseSeed() { return FromEnvironment("LEASEHOLD_SEED", kDefaultSeed); }

uint64_t SeedCount(uint64_t by_default) {
  return FromEnvironment("LEASEHOLD_SEEDS", by_default);
}

void ForEachSeed(uint64_t count_by_default,
                 absl::FunctionRef<void(Random& random)> body) {
  const uint64_t base = BaseSeed();
  const uint64_t count = SeedCount(count_by_default);
  for (uint64_t i = 0; i < count; ++i) {
    SCOPED_TRACE(HowToRunAgain(base + i));
    Random random(base + i);
    body(random);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace leasehold
