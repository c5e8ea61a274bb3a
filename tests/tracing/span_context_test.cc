#include "service/tracing/span_context.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr char kGood[] =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

// `kGood` with other text at a place.
std::string With(size_t at, std::string_view text) {
  std::string changed = kGood;
  changed.replace(at, text.size(), text);
  return changed;
}

TEST(TraceParent, IsReadAndWrittenAlike) {
  const auto context = ParseTraceParent(kGood);
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace.high, 0x0af7651916cd43dd);
  EXPECT_EQ(context->trace.low, 0x8448eb211c80319c);
  EXPECT_EQ(context->span, 0xb7ad6b7169203331);
  EXPECT_TRUE(context->sampled());
  EXPECT_EQ(FormatTraceParent(*context), kGood);
  EXPECT_EQ(HexOf(context->span), "b7ad6b7169203331");
}

TEST(TraceParent, FlagsThatAreNotKnownAreNotPassedOn) {
  for (const char* flags : {"00", "02", "fe"}) {
    const auto context = ParseTraceParent(With(53, flags));
    ASSERT_TRUE(context.has_value()) << flags;
    EXPECT_FALSE(context->sampled()) << flags;
    EXPECT_EQ(FormatTraceParent(*context), With(53, "00")) << flags;
  }
  EXPECT_TRUE(ParseTraceParent(With(53, "ff"))->sampled());
}

TEST(TraceParent, WhatBreaksARuleIsNone) {
  for (const std::string& text : std::vector<std::string>{
           "",
           "00",
           std::string(55, '0'),
           std::string(55, '-'),
           With(0, "ff"),                   // No version.
           With(0, "0G"),                   //
           With(3, std::string(32, '0')),   // No trace.
           With(36, std::string(16, '0')),  // No span.
           With(3, "0AF7"),                 // Upper case.
           With(36, "B7"),
           With(53, "0x"),
           With(2, "_"),
           With(35, "_"),
           With(52, "_"),
           With(10, " "),
           With(10, std::string_view("\0", 1)),
           With(10, "\xc3\xa4"),
           absl::StrCat(" ", kGood),
           absl::StrCat(kGood, " "),
           absl::StrCat(kGood, "-"),  // Version 00 ends here.
           absl::StrCat(kGood, "-extra"),
           std::string(kGood).substr(0, 54),
           absl::StrCat(With(0, "01"), "0"),  // Without a dash.
           std::string(100'000, 'a')}) {
    EXPECT_FALSE(ParseTraceParent(text).has_value()) << text.substr(0, 80);
  }
}

TEST(TraceParent, ALaterVersionMaySayMore) {
  EXPECT_TRUE(ParseTraceParent(With(0, "01")).has_value());
  EXPECT_TRUE(ParseTraceParent(With(0, "fe") + "-and-more").has_value());
  EXPECT_EQ(FormatTraceParent(*ParseTraceParent(With(0, "cc") + "-x")), kGood);
}

TEST(TraceState, IsPassedOnWithoutSpacesBetweenMembers) {
  EXPECT_EQ(ReadTraceState({"a=1"}), "a=1");
  EXPECT_EQ(ReadTraceState({" a=1 ,\tb@c=x y ,, "}), "a=1,b@c=x y");
  EXPECT_EQ(ReadTraceState({"a=1,b=2", "c=3"}), "a=1,b=2,c=3");
  EXPECT_EQ(ReadTraceState({"0tenant@sys/tem_-*=!~"}), "0tenant@sys/tem_-*=!~");
  EXPECT_THAT(ReadTraceState({}), IsEmpty());
  EXPECT_THAT(ReadTraceState({"", " , "}), IsEmpty());
}

TEST(TraceState, WhatBreaksARuleIsLeftOutWhole) {
  for (const std::string& text :
       std::vector<std::string>{"a",           // No value.
                                "a=",          //
                                "=1",          //
                                "A=1",         // Upper case.
                                "0a=1",        // A digit, and no tenant.
                                "a@=1",        // No system.
                                "@a=1",        // No tenant.
                                "a@b@c=1",     //
                                "a b=1",       //
                                "a=1=2",       //
                                "a=\x7f",      //
                                "a=\xc3\xa4",  //
                                "a=x\ty",      //
                                "a=1,a=2",     // The same key twice.
                                absl::StrCat(std::string(257, 'k'), "=1"),
                                absl::StrCat(std::string(242, 'k'), "@a=1"),
                                absl::StrCat("a@", std::string(15, 'k'), "=1"),
                                absl::StrCat("a=", std::string(257, 'v'))}) {
    EXPECT_THAT(ReadTraceState({"good=1", text}), IsEmpty()) << text;
  }
  EXPECT_EQ(ReadTraceState({"a=" + std::string(256, 'v')}).size(), 258);
  EXPECT_EQ(ReadTraceState({std::string(256, 'k') + "=1"}).size(), 258);
}

TEST(TraceState, HasAtMost32Members) {
  std::vector<std::string> members;
  for (int i = 0; i < 32; ++i) members.push_back(absl::StrCat("k", i, "=v"));
  const std::string full = absl::StrJoin(members, ",");
  EXPECT_EQ(ReadTraceState({full}), full);
  EXPECT_THAT(ReadTraceState({full, "one=more"}), IsEmpty());
}

TEST(TraceState, LosesLongMembersFirstAndThenTheLastOnes) {
  const std::string longest = "long=" + std::string(200, 'x');
  const std::string half = std::string(100, 'y');
  const std::string state =
      ReadTraceState({absl::StrCat("a=", half), longest,
                      absl::StrCat("b=", half), absl::StrCat("c=", half),
                      absl::StrCat("d=", half), absl::StrCat("e=", half)});
  EXPECT_EQ(state,
            absl::StrCat("a=", half, ",b=", half, ",c=", half, ",d=", half));
  EXPECT_LE(state.size(), kTraceStateBytesMax);
}

TEST(SpanContext, NeedsExactlyOneTraceParent) {
  EXPECT_TRUE(ReadSpanContext({kGood}, {}).has_value());
  EXPECT_FALSE(ReadSpanContext({}, {"a=1"}).has_value());
  EXPECT_FALSE(ReadSpanContext({kGood, kGood}, {}).has_value());
  EXPECT_EQ(ReadSpanContext({kGood}, {"a=1"})->state, "a=1");
  // A bad state does not take the parent with it.
  EXPECT_THAT(ReadSpanContext({kGood}, {"A=1"})->state, IsEmpty());
}

TEST(SpanIds, AreReadAndDerived) {
  EXPECT_EQ(ParseSpanId("00000000000000ff"), 255);
  for (const char* text : {"", "ff", "0000000000000000", "00000000000000FF",
                           "00000000000000fff", "00000000000000f "}) {
    EXPECT_FALSE(ParseSpanId(text).has_value()) << text;
  }
  EXPECT_EQ(DerivedSpanId("a", 1), DerivedSpanId("a", 1));
  EXPECT_NE(DerivedSpanId("a", 1), DerivedSpanId("a", 2));
  EXPECT_NE(DerivedSpanId("a", 1), DerivedSpanId("b", 1));
  EXPECT_THAT(BytesOf(TraceId{1, 2}), SizeIs(16));
  EXPECT_EQ(BytesOf(SpanId{0x4142434445464748}), "ABCDEFGH");
}

}  // namespace
}  // namespace leasehold
