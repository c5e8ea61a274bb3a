// Which characters show themselves, and how those that do not stand in
// messages.
#include "lease/base/visible.h"

#include <cstdint>

#include "gtest/gtest.h"
#include "lease/base/quote.h"

namespace leasehold {
namespace {

TEST(Visible, LettersMarksAndPicturesAre) {
  for (const uint32_t code :
       {0x20u, 0x7Eu, 0xA0u, 0xACu, 0xAEu, 0xE4u, 0x301u, 0x5D0u, 0x627u,
        0x2027u, 0x202Fu, 0x205Fu, 0x2070u, 0x6771u, 0xFE10u, 0xFFFCu, 0xFFFDu,
        0x1F642u, 0x10FFFFu}) {
    EXPECT_TRUE(IsVisible(code)) << std::hex << code;
  }
}

TEST(Visible, WhatActsOnOthersOrIsNotSeenIsNot) {
  for (const uint32_t code :
       {0x0u,     0xAu,     0x1Fu,    0x7Fu,   0x85u,   0x9Bu,   0xADu,
        0x34Fu,   0x61Cu,   0x115Fu,  0x180Eu, 0x200Bu, 0x200Du, 0x200Eu,
        0x200Fu,  0x2028u,  0x2029u,  0x202Au, 0x202Eu, 0x2060u, 0x2066u,
        0x2069u,  0x206Fu,  0x3164u,  0xFE0Fu, 0xFEFFu, 0xFFA0u, 0xFFF9u,
        0x1D173u, 0xE0001u, 0xE0041u, 0xE0FFFu}) {
    EXPECT_FALSE(IsVisible(code)) << std::hex << code;
  }
}

TEST(Visible, MessagesEscapeTheRest) {
  EXPECT_EQ(QuoteForMessage("grün 東京 🙂"), "\"grün 東京 🙂\"");
  EXPECT_EQ(QuoteForMessage("a\u202Eb"), "\"a\\xe2\\x80\\xaeb\"");
  EXPECT_EQ(QuoteForMessage("\u200B"), "\"\\xe2\\x80\\x8b\"");
}

}  // namespace
}  // namespace leasehold
