#include "service/doors/instance_call.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/echo_call.h"
#include "tests/server/instance_call_fixture.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::MatchesRegex;
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

// ---- The header contract

TEST_F(InstanceCallTest, CallThatCreatesIsToldIdGenerationAndTimeout) {
  ServeEcho();
  EchoCall call(*stub_, "hello", {{"instance-id", "room-1"}});
  ASSERT_TRUE(call.Await().ok()) << call.Await().error_message();
  EXPECT_EQ(call.response().text(), "hello");
  EXPECT_EQ(call.response().instance_id(), "room-1");
  EXPECT_EQ(call.response().sequence(), 1u);
  EXPECT_THAT(
      InstanceHeaders(call),
      UnorderedElementsAre(Pair("instance-id", "room-1"),
                           Pair("instance-created", "true"),
                           Pair("instance-generation",
                                absl::StrCat(call.response().generation())),
                           Pair("instance-idle-timeout-ms", "20000")));
}

TEST_F(InstanceCallTest, CallThatFindsIsToldTheGenerationAlone) {
  ServeEcho();
  EchoCall first(*stub_, "", {{"instance-id", "room-1"}});
  first.Await();
  EchoCall second(*stub_, "", {{"instance-id", "room-1"}});
  ASSERT_TRUE(second.Await().ok()) << second.Await().error_message();
  EXPECT_EQ(second.response().instance_id(), "room-1");
  EXPECT_EQ(second.response().sequence(), 2u);
  EXPECT_EQ(second.response().generation(), first.response().generation());
  EXPECT_THAT(
      InstanceHeaders(second),
      UnorderedElementsAre(Pair("instance-generation",
                                absl::StrCat(first.response().generation()))));
}

TEST_F(InstanceCallTest, CallWithoutAnIdGetsAFreshOneToComeBackTo) {
  ServeEcho();
  EchoCall one(*stub_, "");
  EchoCall other(*stub_, "");
  ASSERT_TRUE(one.Await().ok() && other.Await().ok());
  const std::string id = one.ResponseHeader("instance-id").value_or("");
  EXPECT_THAT(id, MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                               "[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_EQ(one.response().instance_id(), id);
  EXPECT_EQ(one.ResponseHeader("instance-created"), "true");
  EXPECT_NE(other.response().instance_id(), id);

  EchoCall back(*stub_, "", {{"instance-id", id}});
  ASSERT_TRUE(back.Await().ok());
  EXPECT_EQ(back.response().sequence(), 2u);
  EXPECT_EQ(back.response().generation(), one.response().generation());
}

TEST_F(InstanceCallTest, IdOutsideTheHeaderAlphabetTravelsAsBinaryOnly) {
  ServeEcho();
  for (const std::string& id : {std::string("grün 東京"), std::string("a,b"),
                                std::string("a b"), std::string(257, 'x')}) {
    EchoCall call(*stub_, "", {{"instance-id-bin", id}});
    ASSERT_TRUE(call.Await().ok()) << call.Await().error_message();
    EXPECT_EQ(call.response().instance_id(), id);
    EXPECT_EQ(call.ResponseHeader("instance-id-bin"), id);
    EXPECT_EQ(call.ResponseHeader("instance-id"), std::nullopt);
    EXPECT_EQ(call.ResponseHeader("instance-created"), "true");
  }
}

TEST_F(InstanceCallTest, PlainIdIsTheSameWhicheverHeaderBringsIt) {
  ServeEcho();
  EchoCall binary(*stub_, "", {{"instance-id-bin", "room-1"}});
  ASSERT_TRUE(binary.Await().ok());
  EXPECT_EQ(binary.ResponseHeader("instance-id"), "room-1");
  EXPECT_EQ(binary.ResponseHeader("instance-id-bin"), std::nullopt);
  EchoCall text(*stub_, "", {{"instance-id", "room-1"}});
  ASSERT_TRUE(text.Await().ok());
  EXPECT_EQ(text.response().sequence(), 2u);
}

TEST_F(InstanceCallTest, IdleTimeoutIsAsAskedForWithinTheServersBounds) {
  ServeEcho();
  const std::pair<const char*, const char*> cases[] = {
      {"90s", "90000"}, {"1500us", "10"}, {"0", "10"}, {"1000h", "86400000"}};
  for (const auto& [asked, got] : cases) {
    EchoCall call(*stub_, "", {{"instance-idle-timeout", asked}});
    ASSERT_TRUE(call.Await().ok()) << call.Await().error_message();
    EXPECT_EQ(call.ResponseHeader("instance-idle-timeout-ms"), got) << asked;
  }
}

TEST_F(InstanceCallTest, IdleTimeoutOfAFoundInstanceStaysAsItWas) {
  ServeEcho();
  const EchoCall::Header id = {"instance-id", "a"};
  EchoCall first(*stub_, "", {id, {"instance-idle-timeout", "1s"}});
  first.Await();
  events_.Await(InstanceEventKind::kIdle, "a");
  EchoCall second(*stub_, "", {id, {"instance-idle-timeout", "1h"}});
  second.Await();
  events_.Await(InstanceEventKind::kIdle, "a");
  clock_.Advance(absl::Seconds(1));
  registry_->RunDueLeases();
  events_.Await(InstanceEventKind::kClosed, "a");
}

TEST_F(InstanceCallTest, ExpectationThatFailsCreatesAndTellsNothing) {
  ServeEcho();
  EchoCall none(*stub_, "",
                {{"instance-id", "a"}, {"instance-expect", "existing"}});
  EXPECT_EQ(none.Await().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(none.Await().error_message(),
            "there is no instance \"a\"; the call expects an existing one");
  EXPECT_THAT(InstanceHeaders(none), IsEmpty());
  EXPECT_EQ(registry_->size(), 0u);

  EchoCall fresh(*stub_, "",
                 {{"instance-id", "a"}, {"instance-expect", "new"}});
  EXPECT_TRUE(fresh.Await().ok());
  EchoCall again(*stub_, "",
                 {{"instance-id", "a"}, {"instance-expect", "new"}});
  EXPECT_EQ(again.Await().error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(again.Await().error_message(),
            "instance \"a\" exists; the call expects a new one");
  EXPECT_THAT(InstanceHeaders(again), IsEmpty());

  EchoCall found(*stub_, "",
                 {{"instance-id", "a"}, {"instance-expect", "existing"}});
  EXPECT_TRUE(found.Await().ok());
  EXPECT_EQ(found.response().sequence(), 2u);
}

TEST_F(InstanceCallTest, BrokenHeaderIsRefusedAndCreatesNothing) {
  ServeEcho();
  using Given = std::vector<EchoCall::Header>;
  const std::pair<Given, const char*> cases[] = {
      {{{"instance-id", ""}}, "instance-id: the ID is empty"},
      {{{"instance-id", "a,b"}},
       "instance-id: the ID contains a comma at byte 1"},
      {{{"instance-id", "a b"}}, "instance-id: the ID contains the byte 0x20"},
      {{{"instance-id", std::string(257, 'x')}},
       "instance-id: the ID has 257 bytes"},
      {{{"instance-id", "a"}, {"instance-id", "a"}},
       "instance-id: given 2 times"},
      {{{"instance-id", "a"}, {"instance-id-bin", "a"}},
       "instance-id: given together with instance-id-bin"},
      {{{"instance-id-bin", ""}}, "instance-id-bin: the ID is empty"},
      {{{"instance-id-bin", "\xff"}},
       "instance-id-bin: the ID is not valid UTF-8 at byte 0"},
      {{{"instance-id-bin", "a\n"}},
       "instance-id-bin: the ID contains the control character U+000A"},
      {{{"instance-id-bin", std::string(1025, 'x')}},
       "instance-id-bin: the ID has 1025 bytes"},
      {{{"instance-idle-timeout", "90"}},
       "instance-idle-timeout: must be a finite duration"},
      {{{"instance-idle-timeout", "1s"}, {"instance-idle-timeout", "1s"}},
       "instance-idle-timeout: given 2 times"},
      {{{"instance-expect", "old"}},
       "instance-expect: must be \"new\" or \"existing\": \"old\""},
  };
  for (const auto& [headers, message] : cases) {
    EchoCall call(*stub_, "", headers);
    EXPECT_EQ(call.Await().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(call.Await().error_message(), StartsWith(message));
    EXPECT_THAT(InstanceHeaders(call), IsEmpty());
  }
  EXPECT_EQ(registry_->size(), 0u);
}

TEST_F(InstanceCallTest, HeaderMayHaveAnotherName) {
  ServeEcho({}, {}, *InstanceHeaderNames::Make("x-room"));
  EchoCall text(*stub_, "", {{"x-room", "a"}, {"instance-id", "ignored"}});
  ASSERT_TRUE(text.Await().ok());
  EXPECT_EQ(text.response().instance_id(), "a");
  EXPECT_THAT(InstanceHeaders(text),
              UnorderedElementsAre(Pair("x-room", "a"), Key("instance-created"),
                                   Key("instance-generation"),
                                   Key("instance-idle-timeout-ms")));
  EchoCall binary(*stub_, "", {{"x-room-bin", "ä"}});
  ASSERT_TRUE(binary.Await().ok());
  EXPECT_EQ(binary.ResponseHeader("x-room-bin"), "ä");
}

TEST_F(InstanceCallTest, FullServerSaysSo) {
  ServeEcho({}, {.contexts_max = 1, .evict_idle = false});
  EchoCall first(*stub_, "", {{"instance-id", "a"}});
  EXPECT_TRUE(first.Await().ok());
  EchoCall second(*stub_, "", {{"instance-id", "b"}});
  EXPECT_EQ(second.Await().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(second.Await().error_message(),
              AllOf(HasSubstr("--max-contexts"), HasSubstr("\"b\"")));
}

// ---- Pins

TEST_F(InstanceCallTest, PinIsHeldUntilTheCallIsGone) {
  ServeHeldPins();
  EchoCall call(*stub_, "", {{"instance-id", "a"}});
  const std::coroutine_handle<> parked = parked_.Take("the pin");
  EXPECT_EQ(registry_->Release(TestKey("a")).code(),
            absl::StatusCode::kFailedPrecondition);
  queue_->Resume(parked);
  EXPECT_TRUE(call.Await().ok());
  events_.Await(InstanceEventKind::kIdle, "a");
  EXPECT_TRUE(registry_->Release(TestKey("a")).ok());
  events_.Await(InstanceEventKind::kClosed, "a");
}

TEST_F(InstanceCallTest, ACallerThatHasTheAnswerMayReleaseTheInstance) {
  ServeEcho();
  for (int i = 0; i < 3000; ++i) {
    EchoCall call(*stub_, "", {{"instance-id", "answered"}});
    ASSERT_TRUE(call.Await().ok());
    const absl::Status released = registry_->Release(TestKey("answered"));
    ASSERT_TRUE(released.ok()) << "round " << i << ": " << released;
  }
}

TEST_F(InstanceCallTest, PinOfACancelledCallIsGivenBack) {
  ServeHeldPins();
  EchoCall call(*stub_, "", {{"instance-id", "a"}});
  const std::coroutine_handle<> parked = parked_.Take("the pin");
  call.Cancel();
  EXPECT_EQ(call.Await().error_code(), grpc::StatusCode::CANCELLED);
  queue_->Resume(parked);
  events_.Await(InstanceEventKind::kIdle, "a");
  EXPECT_TRUE(registry_->Release(TestKey("a")).ok());
}

TEST_F(InstanceCallTest, AnInstanceThatWasIdleForItsTimeoutIsRecreated) {
  ServeEcho();
  EchoCall first(*stub_, "", {{"instance-id", "a"}});
  first.Await();
  events_.Await(InstanceEventKind::kIdle, "a");
  clock_.Advance(absl::Seconds(20));
  registry_->RunDueLeases();
  events_.Await(InstanceEventKind::kClosed, "a");
  EchoCall second(*stub_, "", {{"instance-id", "a"}});
  EXPECT_TRUE(second.Await().ok());
  EXPECT_EQ(second.ResponseHeader("instance-created"), "true");
  EXPECT_EQ(second.response().sequence(), 1u);
  EXPECT_GT(second.response().generation(), first.response().generation());
}

}  // namespace
}  // namespace leasehold
