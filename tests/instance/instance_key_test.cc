#include "service/instance/instance_key.h"

#include <set>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

absl::Status Check(std::string_view id) {
  return MakeInstanceKey("default", id, "instance-id-bin").status();
}

std::string Message(std::string_view id) {
  const absl::Status status = Check(id);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(InstanceKey, HoldsTenantAndId) {
  const auto key = MakeInstanceKey("red", "room-1", "instance-id");
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->tenant, "red");
  EXPECT_EQ(key->id, "room-1");
}

TEST(InstanceKey, EmptyIdIsRefused) {
  EXPECT_THAT(Message(""),
              AllOf(StartsWith("instance-id-bin: "), HasSubstr("is empty")));
}

TEST(InstanceKey, IdOf1024BytesIsTaken) {
  EXPECT_TRUE(Check(std::string(1024, 'x')).ok());
}

TEST(InstanceKey, IdOf1025BytesIsRefused) {
  EXPECT_THAT(Message(std::string(1025, 'x')),
              AllOf(HasSubstr("1025 bytes"), HasSubstr("at most 1024")));
}

TEST(InstanceKey, AnyTextOfUtf8IsTaken) {
  for (const char* id : {"Zürich, 3 Züge", "日本", "🙂", " ", "\uFFFF",
                         "\U0010FFFF", "\u00A0", "a\u2028b"}) {
    EXPECT_TRUE(Check(id).ok()) << id;
  }
}

TEST(InstanceKey, BrokenUtf8IsRefusedWithItsPlace) {
  for (const char* broken :
       {"\x80", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "\xF8\x88\x80\x80\x80", "\xE2\x82", "\xFF"}) {
    EXPECT_THAT(Message(std::string("ab") + broken),
                HasSubstr("not valid UTF-8 at byte 2"))
        << testing::PrintToString(broken);
  }
}

TEST(InstanceKey, ControlCharactersAreRefusedByName) {
  EXPECT_THAT(Message(std::string("a\0b", 3)), HasSubstr("U+0000 at byte 1"));
  EXPECT_THAT(Message("a\n"), HasSubstr("U+000A at byte 1"));
  EXPECT_THAT(Message("\x1F"), HasSubstr("U+001F"));
  EXPECT_THAT(Message("\x7F"), HasSubstr("U+007F"));
  EXPECT_THAT(Message("\u0080"), HasSubstr("U+0080"));
  EXPECT_THAT(Message("\u009F"), HasSubstr("U+009F"));
}

TEST(InstanceKey, NameOfAnEntityIsLowerCasedAndItsKeyIsNot) {
  EXPECT_EQ(MakeInstanceKey("t", "@Counter@Aa", "h")->id, "@counter@Aa");
  EXPECT_EQ(MakeInstanceKey("t", "@A@B@C", "h")->id, "@a@B@C");
}

TEST(InstanceKey, AnIdThatIsNotAnEntitysKeepsItsCase) {
  EXPECT_EQ(MakeInstanceKey("t", "@Counter", "h")->id, "@Counter");
  EXPECT_EQ(MakeInstanceKey("t", "Counter@A@B", "h")->id, "Counter@A@B");
}

TEST(InstanceKey, FreshIdsAreRandomUuidsThatMayStandInATextHeader) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = NewInstanceId();
    EXPECT_THAT(id, MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                                 "[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
    EXPECT_TRUE(IsTextHeaderId(id));
    EXPECT_TRUE(seen.insert(id).second) << id;
  }
}

TEST(InstanceKey, AQuotedValueShowsTextAndEscapesOtherBytes) {
  EXPECT_EQ(QuoteForMessage("Zürich"), "\"Zürich\"");
  EXPECT_EQ(QuoteForMessage("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(QuoteForMessage("a\n\xFF\u0085"), R"("a\x0a\xff\xc2\x85")");
}

TEST(InstanceKey, QuotedValueHasAtMost64EscapedBytes) {
  EXPECT_EQ(QuoteForMessage(std::string(64, 'x')),
            "\"" + std::string(64, 'x') + "\"");
  EXPECT_EQ(QuoteForMessage(std::string(65, 'x')),
            "\"" + std::string(64, 'x') + "\"...");
  // An escaped byte takes four characters, and is not cut in two.
  const std::string escaped = QuoteForMessage("x" + std::string(64, '\x01'));
  EXPECT_EQ(escaped.size(), 1 + 15 * 4 + std::string("\"\"...").size());
  EXPECT_TRUE(escaped.ends_with("\\x01\"..."));
}

TEST(InstanceKey, TextHeaderIdIsPrintableAsciiWithoutComma) {
  EXPECT_TRUE(IsTextHeaderId("!room~1"));
  EXPECT_TRUE(IsTextHeaderId(std::string(256, 'x')));
  for (const std::string& id :
       {std::string(), std::string("a b"), std::string("a,b"),
        std::string("\x7F"), std::string("é"), std::string(257, 'x')}) {
    EXPECT_FALSE(IsTextHeaderId(id)) << id;
  }
}

}  // namespace
}  // namespace leasehold
