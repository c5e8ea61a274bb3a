#include "service/tracing/sampler.h"

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

constexpr TraceId kLow{1, 0x1000000000000000};
constexpr TraceId kHigh{1, 0xf000000000000000};

// What a sampler says of a root, of a child of a span that is recorded, and of
// one that is not: `yny`.
std::string Says(const std::string& name, const std::string& argument,
                 const TraceId& trace) {
  const auto sampler = Sampler::Make(name, argument);
  if (!sampler.ok()) return sampler.status().ToString();
  SpanContext recorded;
  recorded.flags = SpanContext::kSampled;
  const SpanContext other;
  std::string says;
  for (const SpanContext* parent : {static_cast<const SpanContext*>(nullptr),
                                    &std::as_const(recorded), &other}) {
    says += sampler->Samples(parent, trace) ? 'y' : 'n';
  }
  return says;
}

TEST(Sampler, DecidesAsItsNameSays) {
  EXPECT_EQ(Says("always_on", "", kHigh), "yyy");
  EXPECT_EQ(Says("always_off", "", kLow), "nnn");
  EXPECT_EQ(Says("parentbased_always_on", "", kHigh), "yyn");
  EXPECT_EQ(Says("parentbased_always_off", "", kLow), "nyn");
  EXPECT_EQ(Says("traceidratio", "0.5", kLow), "yyy");
  EXPECT_EQ(Says("traceidratio", "0.5", kHigh), "nnn");
  EXPECT_EQ(Says("parentbased_traceidratio", "0.5", kLow), "yyn");
  EXPECT_EQ(Says("parentbased_traceidratio", "0.5", kHigh), "nyn");
}

TEST(Sampler, TakesAShareFromNothingToEverything) {
  EXPECT_EQ(Says("traceidratio", "", kHigh), "yyy");
  EXPECT_EQ(Says("traceidratio", "1", {1, ~uint64_t{0}}), "yyy");
  EXPECT_EQ(Says("traceidratio", "0", {1, 0}), "nnn");
}

TEST(Sampler, FollowsTheParentByDefault) {
  const SpanContext unsampled;
  EXPECT_TRUE(Sampler().Samples(nullptr, kHigh));
  EXPECT_FALSE(Sampler().Samples(&unsampled, kHigh));
}

TEST(Sampler, RefusesWhatItDoesNotKnow) {
  for (const char* name : {"", "jaeger_remote", "parentbased_", "ALWAYS_ON"}) {
    const auto sampler = Sampler::Make(name, "");
    EXPECT_TRUE(absl::IsInvalidArgument(sampler.status())) << name;
    EXPECT_THAT(std::string(sampler.status().message()),
                HasSubstr("traceidratio"));
  }
  for (const char* argument : {"x", "-0.1", "1.1", "nan", "50%"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        Sampler::Make("traceidratio", argument).status()))
        << argument;
  }
}

}  // namespace
}  // namespace leasehold
