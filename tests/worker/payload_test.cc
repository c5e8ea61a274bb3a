#include "client/worker/payload.h"

#include <map>
#include <optional>
#include <string>
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

TEST(Payload, WhatIsNoJsonOrNotOfTheTypeIsQuoted) {
  EXPECT_THAT(ReadError<int>("{"), HasSubstr("{: "));
  EXPECT_THAT(ReadError<int>(R"("seven")"), HasSubstr(R"("seven": )"));
  EXPECT_THAT(ReadError<Parcel>("{}"), HasSubstr("'to' not found"));
  EXPECT_THAT(ReadError<int>("\"" + std::string(1000, 'x') + "\""),
              HasSubstr("\"" + std::string(63, 'x') + "…: "));
}

TEST(Payload, TextThatIsNotUtf8HasNoJson) {
  EXPECT_THROW(ToPayload(std::string("\xff")), PayloadError);
}

}  // namespace
}  // namespace leasehold::worker
