#include "client/worker/payload.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold::worker {

struct Parcel {
  std::string to;
  std::vector<int> weights;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Parcel, to, weights)

namespace {

using ::testing::HasSubstr;

// The text of the error that reading `payload` as a T throws.
template <typename T>
std::string ReadError(const Payload& payload) {
  try {
    FromPayload<T>(payload);
  } catch (const PayloadError& error) {
    return error.what();
  }
  return "none";
}

TEST(Payload, ValuesAreJson) {
  EXPECT_EQ(ToPayload(7), "7");
  EXPECT_EQ(ToPayload(true), "true");
  EXPECT_EQ(ToPayload(std::string("a\"b")), R"("a\"b")");
  EXPECT_EQ(ToPayload("literal"), R"("literal")");
  EXPECT_EQ(ToPayload(std::map<std::string, int>{{"k", 1}}), R"({"k":1})");
  EXPECT_EQ(ToPayload(nlohmann::json::parse("[1, null]")), "[1,null]");
}

TEST(Payload, TypesOfTheUserAreWrittenAndRead) {
  const Parcel parcel{"Ann", {1, 2}};
  EXPECT_EQ(ToPayload(parcel), R"({"to":"Ann","weights":[1,2]})");
  const auto read = FromPayload<Parcel>(ToPayload(parcel));
  EXPECT_EQ(read.to, "Ann");
  EXPECT_EQ(read.weights, parcel.weights);
}

TEST(Payload, OptionalIsItsValueOrNull) {
  EXPECT_EQ(ToPayload(std::optional<int>(3)), "3");
  EXPECT_EQ(ToPayload(std::optional<int>()), "null");
  EXPECT_EQ(FromPayload<std::optional<int>>("3"), 3);
  EXPECT_EQ(FromPayload<std::optional<int>>("null"), std::nullopt);
  EXPECT_EQ(FromPayload<std::optional<int>>(std::nullopt), std::nullopt);
}

TEST(Payload, AbsentAndEmptyAreNull) {
  EXPECT_TRUE(FromPayload<nlohmann::json>(std::nullopt).is_null());
  EXPECT_TRUE(FromPayload<nlohmann::json>("").is_null());
  EXPECT_THAT(ReadError<int>(std::nullopt), HasSubstr("no payload: "));
}

TEST(Payload, PayloadsThatAreNotJsonOrOfAnotherTypeAreQuoted) {
  EXPECT_THAT(ReadError<int>("{"), HasSubstr("{: "));
  EXPECT_THAT(ReadError<int>(R"("seven")"), HasSubstr(R"("seven": )"));
  EXPECT_THAT(ReadError<Parcel>("{}"), HasSubstr("'to' not found"));
  EXPECT_THAT(ReadError<int>("\"" + std::string(1000, 'x') + "\""),
              HasSubstr("\"" + std::string(63, 'x') + "…: "));
}

TEST(Payload, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(ToPayload(std::string("caf\xe9!")), "\"caf\uFFFD!\"");
}

TEST(Payload, QuotesEndBetweenCharacters) {
  EXPECT_THAT(ReadError<int>("\"" + std::string(62, 'x') + "éé\""),
              HasSubstr("\"" + std::string(62, 'x') + "…: "));
}

// Deep enough to overflow any stack, if something recurses into it.
constexpr size_t kTooDeep = 100000;

std::string Nested(size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

nlohmann::json NestedValue(size_t depth) {
  nlohmann::json value;
  for (size_t i = 0; i < depth; ++i) {
    nlohmann::json outer = nlohmann::json::array();
    outer.push_back(std::move(value));
    value = std::move(outer);
  }
  return value;
}

TEST(Payload, DeepJsonIsNotRead) {
  const auto at_most = FromPayload<nlohmann::json>(Nested(128));
  EXPECT_EQ(ToPayload(at_most), Nested(128));
  for (const std::string& deep :
       {Nested(129), Nested(kTooDeep), std::string(kTooDeep, '['),
        R"({"a":)" + std::string(kTooDeep, '[')}) {
    EXPECT_THAT(ReadError<nlohmann::json>(deep),
                HasSubstr("nested deeper than 128 arrays and objects"));
    EXPECT_THAT(ReadError<std::optional<int>>(deep), HasSubstr("deeper"));
  }
}

TEST(Payload, BracketsWithinStringsAreNotDepth) {
  const std::string text = "\"" + std::string(1000, '[') + R"(\"[{\\")";
  EXPECT_EQ(ToPayload(FromPayload<std::string>(text)), text);
  // Depth is what is open at once.
  std::string wide = "[";
  for (int i = 0; i < 1000; ++i) wide += "[],";
  wide += "{}]";
  EXPECT_EQ(FromPayload<nlohmann::json>(wide).size(), 1001u);
}

TEST(Payload, DeepJsonIsNotWritten) {
  EXPECT_EQ(ToPayload(NestedValue(127)).value().size(), 127u * 2 + 4);
  EXPECT_THROW(ToPayload(NestedValue(kTooDeep)), PayloadError);
  EXPECT_THROW(ToPayload(std::vector<nlohmann::json>(1, NestedValue(128))),
               PayloadError);
}

}  // namespace
}  // namespace leasehold::worker
