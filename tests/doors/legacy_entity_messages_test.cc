#include "service/doors/legacy_entity_messages.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

LegacyEntityMessage Read(std::string name, Payload data) {
  return ReadLegacyMessage({"@counter@a", std::move(name), std::move(data)});
}

TEST(LegacyEntityMessages, ACall) {
  const LegacyEntityMessage message = Read(
      "op", R"({"op":"add","input":"[1]","id":"r","parent":"p",)"
            R"("parentExecution":"e","timestamp":"2030-01-31T12:00:00Z"})");
  EXPECT_EQ(message.problem, "");
  EXPECT_EQ(message.sent.name, "op");
  const auto& call = std::get<EntityOperationCalled>(message.message);
  EXPECT_EQ(call.operation, "add");
  EXPECT_EQ(call.input, "[1]");
  EXPECT_EQ(call.request_id, "r");
  EXPECT_EQ(call.target, "@counter@a");
  EXPECT_EQ(call.scheduled, std::nullopt);
  EXPECT_TRUE(call.legacy);
}

TEST(LegacyEntityMessages, ASignal) {
  const LegacyEntityMessage message =
      Read("op", R"({"op":"add","signal":true,"input":null,"id":"r"})");
  EXPECT_EQ(message.problem, "");
  const auto& signal = std::get<EntityOperationSignaled>(message.message);
  EXPECT_EQ(signal.operation, "add");
  EXPECT_EQ(signal.input, std::nullopt);
  EXPECT_EQ(signal.request_id, "r");
  EXPECT_EQ(signal.target, "@counter@a");
}

TEST(LegacyEntityMessages, OneForLaterSaysWhen) {
  const Timestamp noon{1'896'091'200, 0};
  for (const auto& [name, due] : {
           std::pair("op@2030-01-31T12:00:00.0000000Z", ""),
           std::pair("op", R"(,"due":"2030-01-31T12:00:00.0000000Z")"),
           std::pair("op@2031-01-01", R"(,"due":"2030-01-31T12:00:00")"),
       }) {
    const LegacyEntityMessage message = Read(
        name, std::string(R"({"op":"add","signal":true,"id":"r")") + due + "}");
    EXPECT_EQ(message.problem, "") << name;
    EXPECT_EQ(std::get<EntityOperationSignaled>(message.message).scheduled,
              noon)
        << name;
  }
}

TEST(LegacyEntityMessages, ALockRequest) {
  const LegacyEntityMessage message =
      Read("op", R"({"op":null,"id":"c","pos":1,"parent":"p",)"
                 R"("lockset":[{"name":"counter","key":"a"},{"name":"b"}]})");
  EXPECT_EQ(message.problem, "");
  const auto& lock = std::get<EntityLockRequested>(message.message);
  EXPECT_EQ(lock.section_id, "c");
  EXPECT_THAT(lock.lock_set, ElementsAre("@counter@a", "@b@"));
  EXPECT_EQ(lock.position, 1);
  EXPECT_TRUE(lock.legacy);
}

TEST(LegacyEntityMessages, ARelease) {
  const LegacyEntityMessage message =
      Read("release", R"({"parent":"p","id":"c"})");
  EXPECT_EQ(message.problem, "");
  const auto& unlock = std::get<EntityUnlockSent>(message.message);
  EXPECT_EQ(unlock.section_id, "c");
  EXPECT_EQ(unlock.target, "@counter@a");
}

TEST(LegacyEntityMessages, WhatIsNoneSaysWhy) {
  const struct {
    const char* name;
    Payload data;
    const char* why;
  } cases[] = {
      {"op", {}, "no JSON object"},
      {"op", "", "no JSON object"},
      {"op", "{", "no JSON object"},
      {"op", "[1]", "no JSON object"},
      {"op", "7", "no JSON object"},
      {"op", "{}", "id is missing"},
      {"op", R"({"id":7,"op":"add"})", "id is not text"},
      {"op", R"({"id":"r"})", "neither op nor lockset"},
      {"op", R"({"id":"r","lockset":{}})", "neither op nor lockset"},
      {"op", R"({"id":"r","lockset":[7]})", "name is missing"},
      {"op", R"({"id":"r","lockset":[{"name":"a","key":[]}]})",
       "key is not text"},
      {"op", R"({"id":"r","op":["add"]})", "op is not text"},
      {"op", R"({"id":"r","op":"add","input":{}})", "input is not text"},
      {"op", R"({"id":"r","op":"add","due":"soon"})", "due is no time"},
      {"op@soon", R"({"id":"r","op":"add"})", "due is no time"},
      {"release", R"({"parent":"p"})", "id is missing"},
      {"go", R"({"id":"r","op":"add"})", "neither op nor release"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(Read(one.name, one.data).problem, HasSubstr(one.why))
        << one.name << " " << one.data.value_or("none");
  }
}

TEST(LegacyEntityMessages, DeepNestingIsNoCrash) {
  const std::string deep(100'000, '[');
  EXPECT_THAT(Read("op", R"({"id":"r","input":)" + deep).problem,
              HasSubstr("no JSON object"));
}

TEST(LegacyEntityMessages, APositionThatIsNoneIsRefusedLater) {
  for (const char* position : {"-1", "1e300", "\"x\""}) {
    const LegacyEntityMessage message =
        Read("op", R"({"id":"c","lockset":[{"name":"a","key":"b"}],"pos":)" +
                       std::string(position) + "}");
    EXPECT_EQ(message.problem, "");
    const int32_t read =
        std::get<EntityLockRequested>(message.message).position;
    EXPECT_EQ(read, std::string(position) == "\"x\"" ? 0 : -1);
  }
}

}  // namespace
}  // namespace leasehold
