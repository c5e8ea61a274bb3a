#include "client/wire/utf8.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold::client {
namespace {

using testing::HasSubstr;

TEST(Utf8, GoodTextStaysAsItIs) {
  for (const std::string text :
       {"", "ascii", "more than eight bytes of ascii", "é", "12345678é",
        "1234567é", "日本語", "👋🏽", "\U0010FFFF"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
    EXPECT_EQ(MakeUtf8(text), text);
    EXPECT_TRUE(CheckUtf8("the name", text).ok());
  }
}

TEST(Utf8, BytesOfNoCharacterAreReplacedOneByOne) {
  EXPECT_EQ(MakeUtf8("caf\xe9"), "caf\uFFFD");
  EXPECT_EQ(MakeUtf8("\xe9t\xe9 in Latin-1 text"),
            "\uFFFDt\uFFFD in Latin-1 text");
  // Half of an emoji, a surrogate, an overlong form.
  EXPECT_EQ(MakeUtf8("\xf0\x9f"), "\uFFFD\uFFFD");
  EXPECT_EQ(MakeUtf8("a\xed\xa0\xbdz"), "a\uFFFD\uFFFD\uFFFDz");
  EXPECT_EQ(MakeUtf8("\xc0\xaf"), "\uFFFD\uFFFD");
  for (int byte = 0x80; byte <= 0xFF; ++byte) {
    const std::string text =
        "12345678" + std::string(1, static_cast<char>(byte));
    EXPECT_FALSE(IsUtf8(text)) << byte;
    EXPECT_EQ(MakeUtf8(text), "12345678\uFFFD");
  }
}

TEST(Utf8, WhatIsRefusedIsNamedAndShown) {
  const absl::Status status = CheckUtf8("the instance ID", "caf\xe9-1");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), R"(the instance ID "caf\xe9-1" is not UTF-8)");
  EXPECT_THAT(CheckUtf8("the name", std::string(1000, '\xff')).ToString(),
              HasSubstr("xff\"... is not UTF-8"));
}

TEST(Utf8, PrefixEndsBetweenCharacters) {
  EXPECT_EQ(Utf8Front("aé", 3), "aé");
  EXPECT_EQ(Utf8Front("aéb", 3), "aé");
  EXPECT_EQ(Utf8Front("aéb", 2), "a");
  EXPECT_EQ(Utf8Front("é", 1), "");
}

}  // namespace
}  // namespace leasehold::client
