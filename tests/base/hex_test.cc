#include "lease/base/hex.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

TEST(BytesFromHex, ReadsDigitsOfEitherCase) {
  EXPECT_EQ(BytesFromHex("00ff7Fa0"), std::string("\0\xff\x7f\xa0", 4));
  EXPECT_EQ(BytesFromHex(""), "");
}

TEST(BytesFromHex, RefusesWhatIsNoPairOfDigits) {
  EXPECT_EQ(BytesFromHex("0"), std::nullopt);
  EXPECT_EQ(BytesFromHex("0g"), std::nullopt);
  EXPECT_EQ(BytesFromHex("g0"), std::nullopt);
  EXPECT_EQ(BytesFromHex("-1"), std::nullopt);
  EXPECT_EQ(BytesFromHex(" 1"), std::nullopt);
}

}  // namespace
}  // namespace leasehold
