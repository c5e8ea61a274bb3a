#include "service/instance/instance_headers.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

using Headers = std::vector<std::pair<std::string, std::string>>;

absl::StatusOr<InstanceRequest> Read(const Headers& headers) {
  const InstanceHeaderNames names;
  InstanceHeaderReader reader(names);
  for (const auto& [name, value] : headers) reader.Add(name, value);
  return reader.Finish(kTestTenant);
}

// The message of the status that rejects `headers`.
std::string Refusal(const Headers& headers) {
  const absl::StatusOr<InstanceRequest> request = Read(headers);
  EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(request.status().message());
}

// Each message names the header, the rule and the value.
auto Names(const char* header, const char* rule, const char* value) {
  return AllOf(StartsWith(std::string(header) + ": "), HasSubstr(rule),
               HasSubstr(value));
}

TEST(InstanceHeaders, IdNamesTheContext) {
  const auto request = Read({{"instance-id", "room-1"}, {"user-agent", "x"}});
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->key, (InstanceKey{.tenant = "default", .id = "room-1"}));
  EXPECT_FALSE(request->id_generated);
  EXPECT_EQ(request->idle_timeout, std::nullopt);
  EXPECT_EQ(request->expect, Expect::kAny);
}

TEST(InstanceHeaders, WithoutIdAFreshOneIsMade) {
  const auto first = Read({});
  const auto second = Read({});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE(first->id_generated);
  EXPECT_EQ(first->key.id.size(), 36u);
  EXPECT_NE(first->key.id, second->key.id);
}

TEST(InstanceHeaders, EmptyIdIsRefused) {
  EXPECT_THAT(Refusal({{"instance-id", ""}}),
              Names("instance-id", "is empty", "\"\""));
  EXPECT_THAT(Refusal({{"instance-id-bin", ""}}),
              Names("instance-id-bin", "is empty", "\"\""));
}

TEST(InstanceHeaders, IdOf256BytesIsTakenAndOf257Refused) {
  EXPECT_TRUE(Read({{"instance-id", std::string(256, 'x')}}).ok());
  EXPECT_THAT(Refusal({{"instance-id", std::string(257, 'x')}}),
              Names("instance-id",
                    "257 bytes; a text header accepts at most 256", "\"xxxx"));
}

TEST(InstanceHeaders, CommaIsRefusedForItMayJoinTwoHeaders) {
  EXPECT_THAT(Refusal({{"instance-id", "a,b"}}),
              Names("instance-id", "comma at byte 1", "\"a,b\""));
}

TEST(InstanceHeaders, SpaceIsRefusedInATextHeader) {
  EXPECT_THAT(Refusal({{"instance-id", "a b"}}),
              Names("instance-id", "0x20 at byte 1", "\"a b\""));
}

TEST(InstanceHeaders, BytesOutsidePrintableAsciiAreRefusedInATextHeader) {
  EXPECT_THAT(Refusal({{"instance-id", "a\x7F"}}),
              Names("instance-id", "0x7F at byte 1", "\"a\\x7f\""));
  EXPECT_THAT(Refusal({{"instance-id", "\xC3\xA9"}}),
              Names("instance-id", "0xC3 at byte 0", "\"\xC3\xA9\""));
}

TEST(InstanceHeaders, IdGivenTwiceIsRefusedEvenIfBothAreEqual) {
  EXPECT_THAT(Refusal({{"instance-id", "a"}, {"instance-id", "a"}}),
              Names("instance-id", "given 2 times", "\"a\""));
  EXPECT_THAT(Refusal({{"instance-id-bin", "a"}, {"instance-id-bin", "b"}}),
              Names("instance-id-bin", "given 2 times", "\"b\""));
}

TEST(InstanceHeaders, TextIdBesideBinaryIdIsRefused) {
  EXPECT_THAT(
      Refusal({{"instance-id", "a"}, {"instance-id-bin", "a"}}),
      Names("instance-id", "given together with instance-id-bin", "\"a\""));
}

TEST(InstanceHeaders, BinaryIdCarriesWhatATextHeaderCannot) {
  for (const std::string& id :
       {std::string("Zürich, HB"), std::string(257, 'x'),
        std::string(1024, 'x')}) {
    const auto request = Read({{"instance-id-bin", id}});
    ASSERT_TRUE(request.ok()) << request.status();
    EXPECT_EQ(request->key.id, id);
  }
}

TEST(InstanceHeaders, BinaryIdOf1025BytesIsRefused) {
  EXPECT_THAT(Refusal({{"instance-id-bin", std::string(1025, 'x')}}),
              Names("instance-id-bin", "1025 bytes; at most 1024", "\"xxxx"));
}

TEST(InstanceHeaders, BinaryIdThatIsNotUtf8IsRefused) {
  EXPECT_THAT(
      Refusal({{"instance-id-bin", "a\xFF"}}),
      Names("instance-id-bin", "not valid UTF-8 at byte 1", "\"a\\xff\""));
}

TEST(InstanceHeaders, ControlCharactersAreRefused) {
  EXPECT_THAT(Refusal({{"instance-id-bin", "a\tb"}}),
              Names("instance-id-bin", "U+0009 at byte 1", R"("a\x09b")"));
  EXPECT_THAT(Refusal({{"instance-id-bin", "\u0085"}}),
              Names("instance-id-bin", "U+0085 at byte 0", R"("\xc2\x85")"));
}

TEST(InstanceHeaders, NameOfAnEntityIsLowerCasedWhicheverHeaderItComesIn) {
  EXPECT_EQ(Read({{"instance-id", "@Counter@A"}})->key.id, "@counter@A");
  EXPECT_EQ(Read({{"instance-id-bin", "@COUNTER@A"}})->key.id, "@counter@A");
}

TEST(InstanceHeaders, LongValueIsQuotedByItsFirst64EscapedBytes) {
  const std::string refusal =
      Refusal({{"instance-id", std::string(3000, 'x')}});
  EXPECT_THAT(refusal, HasSubstr("\"" + std::string(64, 'x') + "\"..."));
  EXPECT_LT(refusal.size(), 250u);
}

TEST(InstanceHeaders, IdleTimeoutIsADurationWithItsUnit) {
  const std::pair<const char*, absl::Duration> good[] = {
      {"90s", absl::Seconds(90)},
      {"500ms", absl::Milliseconds(500)},
      {"1h30m", absl::Minutes(90)},
      {"1.5s", absl::Milliseconds(1500)},
      {"0", absl::ZeroDuration()}};
  for (const auto& [text, duration] : good) {
    const auto request = Read({{"instance-idle-timeout", text}});
    ASSERT_TRUE(request.ok()) << request.status();
    EXPECT_EQ(request->idle_timeout, duration) << text;
  }
}

TEST(InstanceHeaders, IllFormedIdleTimeoutIsRefused) {
  for (const char* text : {"soon", "-5s", "inf", "-inf", "90", "", "5 s ",
                           "1e9h", "s", "0x5s", "99999999999999999999h"}) {
    EXPECT_THAT(Refusal({{"instance-idle-timeout", text}}),
                Names("instance-idle-timeout", "finite duration with its unit",
                      (std::string("\"") + text + "\"").c_str()))
        << text;
  }
}

TEST(InstanceHeaders, IdleTimeoutGivenTwiceIsRefused) {
  EXPECT_THAT(Refusal({{"instance-idle-timeout", "1s"},
                       {"instance-idle-timeout", "2s"}}),
              Names("instance-idle-timeout", "given 2 times", "\"2s\""));
}

TEST(InstanceHeaders, ExpectIsNewOrExisting) {
  EXPECT_EQ(Read({{"instance-expect", "new"}})->expect, Expect::kNew);
  EXPECT_EQ(Read({{"instance-expect", "existing"}})->expect, Expect::kExisting);
}

TEST(InstanceHeaders, AnyOtherExpectIsRefused) {
  for (const char* text : {"maybe", "", "New", "new "}) {
    EXPECT_THAT(Refusal({{"instance-expect", text}}),
                Names("instance-expect", "must be \"new\" or \"existing\"",
                      (std::string("\"") + text + "\"").c_str()));
  }
  EXPECT_THAT(Refusal({{"instance-expect", "new"}, {"instance-expect", "new"}}),
              Names("instance-expect", "given 2 times", "\"new\""));
}

TEST(InstanceHeaders, NameOfTheIdHeaderIsASettingThatBringsItsBinaryTwin) {
  const auto names = InstanceHeaderNames::Make("x-room.id_2");
  ASSERT_TRUE(names.ok());
  InstanceHeaderReader reader(*names);
  reader.Add("instance-id", "ignored");
  reader.Add("x-room.id_2-bin", "a b");
  EXPECT_EQ(reader.Finish("default")->key.id, "a b");
  EXPECT_EQ(InstanceHeaderNames().binary, "instance-id-bin");
}

TEST(InstanceHeaders, ANameThatIsNotAMetadataKeyIsRefused) {
  for (const char* name : {"", "Instance-Id", "a b", ":path", "é"}) {
    const auto names = InstanceHeaderNames::Make(name);
    EXPECT_EQ(names.status().code(), absl::StatusCode::kInvalidArgument)
        << name;
    EXPECT_THAT(std::string(names.status().message()), HasSubstr("a-z, 0-9"));
  }
}

TEST(InstanceHeaders, NameThatEndsInBinIsRefused) {
  EXPECT_THAT(
      std::string(InstanceHeaderNames::Make("id-bin").status().message()),
      HasSubstr("must not end in -bin"));
}

TEST(InstanceHeaders, NameThatMeansSomethingElseIsRefused) {
  for (const char* name :
       {"instance-expect", "instance-idle-timeout", "instance-generation",
        "instance-created", "instance-idle-timeout-ms", "grpc-timeout", "te",
        "user-agent", "content-type", "host"}) {
    EXPECT_THAT(std::string(InstanceHeaderNames::Make(name).status().message()),
                HasSubstr("already has a meaning"))
        << name;
  }
}

}  // namespace
}  // namespace leasehold
