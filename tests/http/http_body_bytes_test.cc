// How many bytes of bodies the listener keeps.
#include "service/http/http_body_bytes.h"

#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

using Code = absl::StatusCode;

class HttpBodyBytesTest : public testing::Test {
 protected:
  HttpBodyBytes all_{100};
};

TEST_F(HttpBodyBytesTest, AllTogetherHaveALimit) {
  HttpBodyBytes::Room first(all_);
  EXPECT_TRUE(first.Set(60).ok());
  {
    HttpBodyBytes::Room second(all_);
    EXPECT_TRUE(second.Set(40).ok());
    const absl::Status refused = second.Set(41);
    EXPECT_EQ(refused.code(), Code::kUnavailable);
    EXPECT_EQ(RetryAfter(refused), absl::Seconds(1));
    EXPECT_EQ(all_.refused(), 1u);
    EXPECT_EQ(all_.total(), 100u);
    EXPECT_TRUE(second.Set(10).ok());
    EXPECT_EQ(all_.total(), 70u);
  }
  EXPECT_EQ(all_.total(), 60u);
  EXPECT_TRUE(first.Set(100).ok());
}

TEST_F(HttpBodyBytesTest, ATenantHasALimitAndOthersAreNotConcerned) {
  HttpBodyBytes::Room first(all_);
  HttpBodyBytes::Room second(all_);
  HttpBodyBytes::Room other(all_);
  first.Begin("acme", 30);
  second.Begin("acme", 30);
  other.Begin("globex", 30);
  EXPECT_TRUE(first.Set(20).ok());
  EXPECT_TRUE(second.Set(10).ok());
  const absl::Status refused = second.Set(11);
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()),
              testing::HasSubstr(
                  "the limit kept_bytes of this tenant is reached, which is "
                  "30"));
  EXPECT_EQ(RetryAfter(refused), absl::Seconds(1));
  EXPECT_TRUE(other.Set(30).ok());
  EXPECT_EQ(all_.total(), 60u);
  EXPECT_EQ(all_.refused_of_tenants(), (TenantTally::Counts{{"acme", 1}}));
  EXPECT_EQ(all_.refused(), 0u);
}

TEST_F(HttpBodyBytesTest, ABodyThatIsLargerThanTheLimitGoesAlone) {
  std::optional<HttpBodyBytes::Room> large(std::in_place, all_);
  large->Begin("acme", 30);
  EXPECT_TRUE(large->Set(20).ok());
  EXPECT_TRUE(large->Set(50).ok());
  HttpBodyBytes::Room next(all_);
  next.Begin("acme", 30);
  EXPECT_EQ(next.Set(1).code(), Code::kResourceExhausted);
  large.reset();
  EXPECT_TRUE(next.Set(30).ok());
}

TEST_F(HttpBodyBytesTest, WithoutALimitOnlyThatOfAllCounts) {
  HttpBodyBytes::Room first(all_);
  HttpBodyBytes::Room second(all_);
  first.Begin("acme", 0);
  second.Begin("acme", 0);
  EXPECT_TRUE(first.Set(60).ok());
  EXPECT_TRUE(second.Set(40).ok());
}

}  // namespace
}  // namespace leasehold
