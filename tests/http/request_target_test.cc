#include "service/http/request_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

HttpRequest Parsed(std::string_view target) {
  HttpRequest request;
  const absl::Status status = ParseTarget(target, request);
  EXPECT_TRUE(status.ok()) << status;
  return request;
}

std::string RefusalOf(std::string_view target) {
  HttpRequest request;
  return std::string(ParseTarget(target, request).message());
}

TEST(RequestTarget, IsSplitFirstAndThenDecodedOnce) {
  EXPECT_THAT(Parsed("/").segments, ElementsAre(""));
  EXPECT_THAT(Parsed("/a/b").segments, ElementsAre("a", "b"));
  EXPECT_THAT(Parsed("/a/").segments, ElementsAre("a", ""));
  EXPECT_THAT(Parsed("//a").segments, ElementsAre("", "a"));
  EXPECT_THAT(Parsed("/a%2Fb/%20c").segments, ElementsAre("a/b", " c"));
  EXPECT_THAT(Parsed("/%252F").segments, ElementsAre("%2F"));
  EXPECT_THAT(Parsed("/a/../b").segments, ElementsAre("a", "..", "b"));
  EXPECT_THAT(Parsed("/a+b").segments, ElementsAre("a+b"));
  EXPECT_THAT(Parsed("/@counter@x").segments, ElementsAre("@counter@x"));
  EXPECT_THAT(Parsed("/gr\xC3\xBC\xC3\x9F"
                     "e")
                  .segments,
              ElementsAre("gr\xC3\xBC\xC3\x9F"
                          "e"));
}

TEST(RequestTarget, OfAQueryEachNameAndValueIsDecoded) {
  const HttpRequest request =
      Parsed("/i?showInput=false&a=1&a=2&reason=a+b%2Bc&&x&y==&%C3%A4=%26?");
  EXPECT_EQ(request.path, "/i");
  EXPECT_EQ(request.query.Get("SHOWINPUT"), "false");
  EXPECT_THAT(request.query.All("a"), ElementsAre("1", "2"));
  EXPECT_EQ(request.query.Get("reason"), "a b+c");
  EXPECT_EQ(request.query.Find("x"), "");
  EXPECT_EQ(request.query.Find("y"), "=");
  EXPECT_EQ(request.query.Find("\xC3\xA4"), "&?");
  EXPECT_EQ(request.query.size(), 7U);
  EXPECT_TRUE(Parsed("/i?").query.empty());
}

TEST(RequestTarget, WhatIsNotAPathIsRefused) {
  EXPECT_THAT(RefusalOf(""), HasSubstr("does not begin with a slash"));
  EXPECT_THAT(RefusalOf("*"), HasSubstr("does not begin with a slash"));
  EXPECT_THAT(RefusalOf("http://h/"), HasSubstr("does not begin with a slash"));
  EXPECT_THAT(RefusalOf("/a#b"), HasSubstr("#"));
  EXPECT_THAT(RefusalOf("/a b"), HasSubstr("blank"));
  EXPECT_THAT(RefusalOf("/a\x7f"), HasSubstr("control character"));
  EXPECT_THAT(RefusalOf("/%"), HasSubstr("\"%\""));
  EXPECT_THAT(RefusalOf("/%4"), HasSubstr("\"%4\""));
  EXPECT_THAT(RefusalOf("/%4x"), HasSubstr("\"%4x\""));
  EXPECT_THAT(RefusalOf("/?a=%g0"), HasSubstr("\"%g0\""));
  EXPECT_THAT(RefusalOf("/%00"), HasSubstr("NUL"));
  EXPECT_THAT(RefusalOf("/%ff"), HasSubstr("UTF-8"));
  EXPECT_THAT(RefusalOf("/\xff"), HasSubstr("UTF-8"));
}

TEST(RequestTarget, EveryTextCanBeASegmentAndAValue) {
  for (const std::string text :
       {"a/b", "50% off + tax", "#?&=", "@a@b", "..", "gr\xC3\xBC\xC3\x9F"}) {
    const std::string encoded = PercentEncode(text);
    const HttpRequest request =
        Parsed(absl::StrCat("/i/", encoded, "?q=", encoded));
    EXPECT_THAT(request.segments, ElementsAre("i", text));
    EXPECT_EQ(request.query.Get("q"), text);
  }
  EXPECT_EQ(PercentEncode("aZ0-._~/"), "aZ0-._~%2F");
}

}  // namespace
}  // namespace leasehold
