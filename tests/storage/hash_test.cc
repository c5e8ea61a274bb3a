#include "service/base/hash.h"

#include <map>
#include <string>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

// Stored, and computed by every node: these numbers never change.
TEST(Hash, IsTheSameForEver) {
  EXPECT_EQ(HashBytes(""), 0xcbf29ce484222325u);
  EXPECT_EQ(HashBytes("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(HashBytes("foobar"), 0x85944171f73967e8u);
  EXPECT_EQ(MixBits(0), 0u);
  EXPECT_EQ(MixBits(1), 0xb456bcfc34c2cb2cu);
  EXPECT_EQ(KeyHash("t", "order-1"), 2803564746770552201u);
}

TEST(Hash, OfSeveralTextsIsThatOfTheirBytes) {
  EXPECT_EQ(HashBytes("bar", HashBytes("foo")), HashBytes("foobar"));
}

TEST(Hash, OfAKeyKnowsWhereTheTenantEnds) {
  EXPECT_NE(KeyHash("a", "bc"), KeyHash("ab", "c"));
}

TEST(Hash, BucketIsTheTopOfAHash) {
  EXPECT_EQ(BucketOf(0), 0);
  EXPECT_EQ(BucketOf(~uint64_t{0}), kBuckets - 1);
  EXPECT_EQ(BucketOf(uint64_t{1} << 52), 1);
}

TEST(Hash, KeysThatDifferInOneDigitAreSpreadOverAllBuckets) {
  std::map<int, int> keys;
  constexpr int kKeys = 100 * kBuckets;
  for (int i = 0; i < kKeys; ++i) {
    ++keys[BucketOf(KeyHash("default", "order:" + std::to_string(i)))];
  }
  EXPECT_EQ(keys.size(), static_cast<size_t>(kBuckets));
  for (const auto& [bucket, count] : keys) {
    EXPECT_LT(count, 200) << bucket;
    EXPECT_GT(count, 40) << bucket;
  }
}

}  // namespace
}  // namespace leasehold
