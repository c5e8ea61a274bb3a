#include "service/orchestration/wire.h"

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/history_builder.h"
#include "tests/support/seed.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

// A message with a field of every form.
struct All {
  std::string text = {};
  int32_t small = 0;
  int64_t large = 0;
  bool flag = false;
  Payload payload = {};
  OpaqueMessage opaque = {};
  StringMap map = {};
  Timestamp time = {};
  std::optional<Timestamp> maybe = {};

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.text);
    field(2, self.small);
    field(3, self.large);
    field(4, self.flag);
    field(5, self.payload);
    field(6, self.opaque);
    field(7, self.map);
    field(8, self.time);
    field(1000, self.maybe);
  }
};

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}

All Decode(std::string_view bytes) {
  const std::optional<All> all = DecodeMessage<All>(bytes);
  EXPECT_TRUE(all.has_value());
  return all.value_or(All{});
}

// ---- Writing ----------------------------------------------------------------

TEST(WireWriter, PlainFieldsThatAreZeroOrEmptyAreNotWritten) {
  // The time is a message: present, but empty.
  EXPECT_EQ(EncodeMessage(All{}), Bytes({0x42, 0}));
}

TEST(WireWriter, NegativeNumbersTakeTenBytes) {
  std::string bytes;
  WireWriter writer(bytes);
  writer(2, int32_t{-1});
  EXPECT_EQ(bytes, Bytes({0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                          0xff, 0x01}));
}

TEST(WireWriter, PayloadsHaveThreeStates) {
  std::string bytes;
  WireWriter writer(bytes);
  writer(5, Payload());
  EXPECT_THAT(bytes, IsEmpty());
  writer(5, Payload(""));
  EXPECT_EQ(bytes, Bytes({0x2a, 0}));
  bytes.clear();
  writer(5, Payload("a"));
  EXPECT_EQ(bytes, Bytes({0x2a, 3, 0x0a, 1, 'a'}));
}

TEST(WireWriter, LongMessagesHaveLongLengths) {
  for (const size_t size :
       {0, 1, 124, 125, 126, 127, 128, 129, 16'380, 16'384, 3'000'000}) {
    const Payload payload(std::string(size, 'x'));
    std::string bytes;
    WireWriter writer(bytes);
    writer(5, payload);
    EXPECT_EQ(Decode(bytes).payload, payload) << size;
  }
}

// ---- Both ways --------------------------------------------------------------

TEST(Wire, NumbersComeBack) {
  for (const int64_t number :
       {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{127}, int64_t{128},
        std::numeric_limits<int64_t>::min(),
        std::numeric_limits<int64_t>::max()}) {
    const auto small = static_cast<int32_t>(number);
    const All all = Decode(EncodeMessage(All{.small = small, .large = number}));
    EXPECT_EQ(all.large, number);
    EXPECT_EQ(all.small, small);
  }
}

TEST(Wire, MapsKeepTheirOrderAndEmptyTexts) {
  const All all = Decode(
      EncodeMessage(All{.map = {{"b", "2"}, {"a", ""}, {"", "nothing"}}}));
  EXPECT_THAT(all.map,
              ElementsAre(Pair("b", "2"), Pair("a", ""), Pair("", "nothing")));
}

TEST(Wire, WhatIsEncodedAtRandomComesBack) {
  ForEachSeed(300, [](Random& random) {
    All all;
    RandomFields fields(random);
    All::Visit(all, fields);
    const std::string bytes = EncodeMessage(all);
    const All again = Decode(bytes);
    EXPECT_EQ(again.payload, all.payload);
    EXPECT_EQ(again.opaque, all.opaque);
    EXPECT_EQ(again.maybe, all.maybe);
    EXPECT_EQ(EncodeMessage(again), bytes);
  });
}

// ---- Reading ----------------------------------------------------------------

TEST(WireReader, PassesUnknownFieldsOver) {
  std::string bytes;
  WireWriter writer(bytes);
  writer.Varint(99, 7);
  writer.Bytes(98, "bytes");
  writer(1, std::string("text"));
  bytes += Bytes({0x71, 1, 2, 3, 4, 5, 6, 7, 8});  // 14, of 64 bits.
  bytes += Bytes({0x7d, 1, 2, 3, 4});              // 15, of 32 bits.
  writer(4, true);
  const All all = Decode(bytes);
  EXPECT_EQ(all.text, "text");
  EXPECT_TRUE(all.flag);
}

TEST(WireReader, PassesGroupsOver) {
  // Field 9 as a group with a number, a text and another group; then field 3.
  const All all = Decode(
      Bytes({0x4b, 0x08, 0x01, 0x12, 0x01, 'x', 0x1b, 0x1c, 0x4c, 0x18, 0x05}));
  EXPECT_EQ(all.large, 5);
  EXPECT_EQ(all.text, "");
}

TEST(WireReader, RefusesGroupsThatDoNotEndWhereTheyShould) {
  for (const std::string& bytes :
       {Bytes({0x4b}), Bytes({0x4b, 0x54}), Bytes({0x4c}),
        Bytes({0x4b, 0x1b, 0x4c, 0x1c}), Bytes({0x4b, 0x0a, 0x7f, 0x4c})}) {
    EXPECT_FALSE(DecodeMessage<All>(bytes).has_value());
  }
}

TEST(WireReader, GroupsInGroupsHaveABound) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '\x4b') + std::string(depth, '\x4c');
  };
  EXPECT_TRUE(DecodeMessage<All>(nested(100)).has_value());
  EXPECT_FALSE(DecodeMessage<All>(nested(101)).has_value());
  EXPECT_FALSE(DecodeMessage<All>(std::string(1'000'000, '\x4b')).has_value());
}

TEST(WireReader, AFieldOfAnotherWireTypeIsAnUnknownOne) {
  // Each known field once in its form, then in another.
  const All all =
      Decode(Bytes({0x0a, 1, 'a', 0x08, 7}) +                  // text
             Bytes({0x10, 3, 0x12, 1, 'x'}) +                  // small
             Bytes({0x20, 1, 0x25, 0, 0, 0, 0}) +              // flag
             Bytes({0x2a, 3, 0x0a, 1, 'p', 0x28, 1}) +         // payload
             Bytes({0x42, 2, 0x08, 9, 0x40, 1, 0x43, 0x44}));  // time
  EXPECT_EQ(all.text, "a");
  EXPECT_EQ(all.small, 3);
  EXPECT_TRUE(all.flag);
  EXPECT_EQ(all.payload, "p");
  EXPECT_EQ(all.time.seconds, 9);
  EXPECT_EQ(Decode(Bytes({0x28, 1, 0x30, 1})).payload, std::nullopt);
}

TEST(WireReader, LastOfAFieldThatStandsThereTwiceCounts) {
  std::string bytes;
  WireWriter writer(bytes);
  writer(1, std::string("first"));
  writer(1, std::string("last"));
  EXPECT_EQ(Decode(bytes).text, "last");
}

TEST(WireReader, RefusesWhatIsNotAMessage) {
  const struct {
    const char* why;
    std::string bytes;
  } cases[] = {
      {"a tag alone", Bytes({0x10})},
      {"field zero", Bytes({0x00, 0x01})},
      {"a tag that never ends", std::string(11, '\xff')},
      {"a number that never ends", Bytes({0x10}) + std::string(11, '\xff')},
      {"a field number beyond all",
       Bytes({0xf8, 0xff, 0xff, 0xff, 0xff, 0x01, 0x01})},
      {"longer than there is", Bytes({0x0a, 2, 'a'})},
      {"a length of 2^64 - 1",
       Bytes({0x0a}) + std::string(9, '\xff') + Bytes({0x01})},
      {"a length of 2^63", Bytes({0x0a}) + std::string(9, '\x80') + Bytes({1})},
      {"half of a fixed number", Bytes({0x0d, 1, 2, 3})},
      {"a broken message in a field", Bytes({0x42, 1, 0x08})},
      {"a broken payload", Bytes({0x2a, 2, 0x0a, 5})},
      {"a broken entry of a map", Bytes({0x3a, 2, 0x0a, 5})},
  };
  for (const auto& one : cases) {
    EXPECT_FALSE(DecodeMessage<All>(one.bytes).has_value()) << one.why;
  }
}

TEST(WireReader, StopsAtTheFirstBrokenField) {
  const std::string bytes = Bytes({0x10, 5, 0x0a, 9, 'a', 0x10, 6});
  WireReader reader(bytes);
  EXPECT_TRUE(reader.Next());
  EXPECT_EQ(reader.field(), 2);
  EXPECT_EQ(reader.varint(), 5u);
  EXPECT_FALSE(reader.Next());
  EXPECT_FALSE(reader.ok());
  EXPECT_FALSE(reader.Next());
}

TEST(WireReader, NothingIsAMessageWithoutFields) {
  WireReader reader("");
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
}

}  // namespace
}  // namespace leasehold
