#include "service/base/page_token.h"

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Position = PageTokens::Position;

PageScope Scope() { return {"rooms", "red"}; }

class PageTokensTest : public testing::Test {
 protected:
  const PageTokens tokens_{std::string(PageTokens::kKeyBytes, 'k')};
};

TEST_F(PageTokensTest, ATokenIsReadAsItsPosition) {
  for (const Position& position :
       {Position{0, 0}, Position{1, 2}, Position{UINT64_MAX, 0},
        Position{0, UINT64_MAX}, Position{uint64_t{1} << 63, 7}}) {
    const std::string token = tokens_.Make(Scope(), position);
    EXPECT_EQ(tokens_.Read(Scope(), token), position);
    EXPECT_EQ(tokens_.Make(Scope(), position), token);
  }
}

// Computed by another program: tokens that clients have stay good.
TEST_F(PageTokensTest, AKnownTokenStaysTheSame) {
  EXPECT_EQ(tokens_.Make(Scope(), {17, 4}),
            "SKUqDZk1APOjt4eeBGmrkF0Q2kLSNPhoRuaTlAiJi1A");
}

// It stands in URLs, and in a field of its own.
TEST_F(PageTokensTest, ATokenHasOnlyCharactersOfUrls) {
  std::set<char> seen;
  for (uint64_t i = 0; i < 200; ++i) {
    const std::string token = tokens_.Make(Scope(), {i, i});
    EXPECT_EQ(token.size(), 43u);
    seen.insert(token.begin(), token.end());
  }
  for (const char c : seen) {
    EXPECT_NE(std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789-_")
                  .find(c),
              std::string_view::npos)
        << c;
  }
}

// Goal: neighbours do not show that they are neighbours. Method: tokens of
// positions 0 to 99 share no part of eight characters at the same place.
TEST_F(PageTokensTest, APositionCannotBeSeenInItsToken) {
  std::set<std::string> parts;
  for (uint64_t i = 0; i < 100; ++i) {
    const std::string token = tokens_.Make(Scope(), {i, 0});
    for (size_t at = 0; at + 8 <= token.size(); at += 8) {
      EXPECT_TRUE(
          parts.insert(std::to_string(at) + ":" + token.substr(at, 8)).second)
          << token;
    }
  }
}

TEST_F(PageTokensTest, WhatATokenShowsStandsBeforeItAndIsAPartOfIt) {
  for (const std::string shown : {"order-17", "", ":", "a:b", "\xc3\xa4 =_-"}) {
    const std::string token = tokens_.MakeShowing(shown, Scope(), {17, 4});
    EXPECT_EQ(token.size(), shown.size() + 1 + 43);
    EXPECT_EQ(token.substr(0, shown.size() + 1), shown + ":");
    EXPECT_EQ(tokens_.ReadShowing(Scope(), token), (Position{17, 4}));
    // Neither the rest of it nor a token that shows nothing is the same.
    EXPECT_EQ(tokens_.Read(Scope(), token), std::nullopt);
    EXPECT_EQ(tokens_.ReadShowing(Scope(), token.substr(shown.size() + 1)),
              std::nullopt);
    EXPECT_EQ(
        tokens_.ReadShowing(Scope(), shown + ":" + tokens_.Make(Scope(), {1})),
        std::nullopt);
  }
}

TEST_F(PageTokensTest, ATokenThatShowsSomethingElseIsRefused) {
  const std::string token = tokens_.MakeShowing("a-1", Scope(), {17, 4});
  for (size_t i = 0; i < token.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string other = token;
      other[i] = static_cast<char>(c);
      if (other == token) continue;
      ASSERT_EQ(tokens_.ReadShowing(Scope(), other), std::nullopt)
          << i << ' ' << c;
    }
  }
  EXPECT_EQ(tokens_.ReadShowing(Scope(), "a-1"), std::nullopt);
  EXPECT_EQ(tokens_.ReadShowing(Scope(), "a-1:"), std::nullopt);
  EXPECT_EQ(tokens_.ReadShowing(Scope(), ""), std::nullopt);
}

TEST_F(PageTokensTest, OneOtherCharacterMakesItNoToken) {
  const std::string token = tokens_.Make(Scope(), {17, 4});
  for (size_t i = 0; i < token.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string other = token;
      other[i] = static_cast<char>(c);
      if (other == token) continue;
      ASSERT_EQ(tokens_.Read(Scope(), other), std::nullopt) << i << ' ' << c;
    }
  }
}

// The alphabet has other ways to write the same bytes.
TEST_F(PageTokensTest, OneTokenHasOneText) {
  const std::string token = tokens_.Make(Scope(), {17, 4});
  for (const std::string& other :
       {token + "=", token + " ", " " + token, token + "\n", token + "A",
        token + token, token.substr(1), token.substr(0, token.size() - 1),
        token + std::string(1, '\0'), std::string()}) {
    EXPECT_EQ(tokens_.Read(Scope(), other), std::nullopt) << other;
  }
}

TEST_F(PageTokensTest, ATokenOfAnotherKeyIsRefused) {
  std::string key(PageTokens::kKeyBytes, 'k');
  key.back() = 'j';
  const PageTokens others(key);
  EXPECT_EQ(others.Read(Scope(), tokens_.Make(Scope(), {1, 2})), std::nullopt);
}

TEST_F(PageTokensTest, ATokenOfAnotherListIsRefused) {
  PageScope with_part = Scope();
  with_part.Add("ab");
  with_part.Add("c");
  PageScope cut_elsewhere = Scope();
  cut_elsewhere.Add("a");
  cut_elsewhere.Add("bc");
  PageScope with_numbers = Scope();
  with_numbers.AddNumbers({1, 2});
  PageScope with_another = Scope();
  with_another.AddNumbers({1, 3});
  PageScope with_zero = Scope();
  with_zero.AddNumber(0);
  PageScope with_none = Scope();
  with_none.AddNumber(std::nullopt);
  const PageScope scopes[] = {
      Scope(),   {"rooms", "blue"}, {"halls", "red"}, {"red", "rooms"},
      with_part, cut_elsewhere,     with_numbers,     with_another,
      with_zero, with_none};
  for (const PageScope& made : scopes) {
    const std::string token = tokens_.Make(made, {1, 2});
    for (const PageScope& read : scopes) {
      EXPECT_EQ(tokens_.Read(read, token).has_value(), &made == &read);
    }
  }
}

TEST_F(PageTokensTest, TheOrderOfASetDoesNotMatter) {
  PageScope one = Scope();
  one.AddNumbers({3, 1, 2});
  PageScope other = Scope();
  other.AddNumbers({1, 2, 2, 3});
  EXPECT_TRUE(tokens_.Read(other, tokens_.Make(one, {1, 2})).has_value());
}

TEST_F(PageTokensTest, RandomTextsAreRefused) {
  Random random(BaseSeed());
  const std::string some = tokens_.Make(Scope(), {1, 2});
  for (int i = 0; i < 20'000; ++i) {
    std::string text(random() % 64, '\0');
    for (char& c : text) c = static_cast<char>(random());
    if (i % 2 == 0) {  // As long as a token, and in its alphabet.
      text = some;
      for (char& c : text) c = some[random() % some.size()];
    }
    ASSERT_EQ(tokens_.Read(Scope(), text), std::nullopt) << text;
  }
}

TEST_F(PageTokensTest, EachNewKeyIsAnother) {
  const std::string key = PageTokens::NewKey();
  EXPECT_EQ(key.size(), PageTokens::kKeyBytes);
  EXPECT_NE(key, PageTokens::NewKey());
}

TEST_F(PageTokensTest, ARefusalQuotesTheTokenAndSaysWhatIsRight) {
  const absl::Status status = IsNotATokenOfThisList("page_token", "x\n");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("page_token: \"x\\x0a\""), HasSubstr("same filter"),
            HasSubstr("first page"), Not(HasSubstr("\n"))));
}

}  // namespace
}  // namespace leasehold
