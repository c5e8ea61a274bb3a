// The client of Orchestration, against a server that does as a test says.
#include "client/orchestrations/orchestration_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/client/fake_orchestration_server.h"
#include "tests/client/orchestration_client_fixture.h"
#include "tests/server/events.h"

namespace leasehold::client {
namespace {

namespace v1 = leasehold::v1;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

using Fake = FakeOrchestrationServer;
using State = v1::OrchestrationState;

class OrchestrationClientTest : public OrchestrationClientFixture {
 protected:
  OrchestrationWatchOptions WatchOf(const std::string& id) {
    OrchestrationWatchOptions options;
    options.instance_id = id;
    options.on_state = [this](const OrchestrationState& state) {
      states_.Put(state);
    };
    options.on_end = [this](const absl::Status& why) { ended_.Put(why); };
    return options;
  }

  // Of watches, which end with the body of their test.
  Mailbox<OrchestrationState> states_;
  Mailbox<absl::Status> ended_;
};

// ---- Text that is not UTF-8

TEST_F(OrchestrationClientTest, TextThatIsNotUtf8IsRefusedByName) {
  const std::string bad = "caf\xe9";
  const auto refused = [](const absl::Status& status, const std::string& what) {
    EXPECT_EQ(status,
              absl::InvalidArgumentError(what + R"( "caf\xe9" is not UTF-8)"));
  };
  const auto start = [this](const StartOptions& options) {
    return client_->Start(options).status();
  };
  refused(start({.name = bad}), "the name");
  refused(start({.name = "a", .instance_id = bad}), "the instance ID");
  refused(start({.name = "a", .input = bad}), "the input");
  refused(start({.name = "a", .version = bad}), "the version");
  refused(start({.name = "a", .tags = {{bad, "v"}}}), "the key of a tag");
  refused(start({.name = "a", .tags = {{"k", bad}}}), "the tag");
  refused(client_->Get(bad).status(), "the instance ID");
  refused(client_->RaiseEvent("a", bad, std::nullopt), "the name of the event");
  refused(client_->RaiseEvent("a", "go", bad), "the input");
  refused(client_->Suspend(bad), "the instance ID");
  refused(client_->ListPage({}, bad).status(), "the page token");
  EXPECT_THAT(server_.Asked<v1::StartOrchestrationRequest>(), IsEmpty());
  EXPECT_THAT(server_.Asked<v1::RaiseOrchestrationEventRequest>(), IsEmpty());
}

// ---- Start

TEST_F(OrchestrationClientTest, StartSaysAllThatItIsGiven) {
  StartOptions options;
  options.name = "Greet";
  options.instance_id = "Gr\u00fc\u00dfe";
  options.input = R"({"who":"Ada"})";
  options.version = "1.2";
  options.scheduled_start_time =
      absl::FromUnixSeconds(100) + absl::Nanoseconds(7);
  options.tags = {{"team", "blue"}, {"", ""}};
  options.if_active = IfActive::kTerminate;
  options.if_finished = IfFinished::kReplace;
  options.request_id = "r-1";
  ASSERT_TRUE(client_->Start(options).ok());
  const auto asked = server_.Asked<v1::StartOrchestrationRequest>();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].name(), "Greet");
  EXPECT_EQ(asked[0].instance_id(), "Gr\u00fc\u00dfe");
  EXPECT_EQ(asked[0].input(), R"({"who":"Ada"})");
  EXPECT_EQ(asked[0].version(), "1.2");
  EXPECT_EQ(asked[0].scheduled_start_time().seconds(), 100);
  EXPECT_EQ(asked[0].scheduled_start_time().nanos(), 7);
  EXPECT_THAT(asked[0].tags(),
              UnorderedElementsAre(Pair("team", "blue"), Pair("", "")));
  EXPECT_EQ(asked[0].if_active(), v1::IfActive::TERMINATE);
  EXPECT_EQ(asked[0].if_finished(), v1::IfFinished::REPLACE);
  EXPECT_EQ(asked[0].request_id(), "r-1");
}

TEST_F(OrchestrationClientTest, StartTellsNoInputFromAnEmptyOne) {
  ASSERT_TRUE(client_->Start({.name = "Greet"}).ok());
  StartOptions options{.name = "Greet", .instance_id = "b"};
  options.input = "";
  ASSERT_TRUE(client_->Start(options).ok());
  const auto asked = server_.Asked<v1::StartOrchestrationRequest>();
  EXPECT_FALSE(asked[0].has_input());
  EXPECT_FALSE(asked[0].has_scheduled_start_time());
  EXPECT_TRUE(asked[1].has_input());
}

TEST_F(OrchestrationClientTest, StartGivesTheReceipt) {
  OrchestrationReceipt receipt = *client_->Start({.name = "Greet"});
  EXPECT_EQ(receipt.instance_id, "made-by-server");
  EXPECT_EQ(receipt.execution_id, "run-of-made-by-server");
  EXPECT_TRUE(receipt.created);
  EXPECT_FALSE(receipt.urls.has_value());
  server_.ServeUrls();
  receipt = *client_->Start({.name = "Greet",
                             .instance_id = "made-by-server",
                             .if_active = IfActive::kAttach});
  EXPECT_FALSE(receipt.created);
  ASSERT_TRUE(receipt.urls.has_value());
  EXPECT_EQ(receipt.urls->status_query_get_uri, "http://here/made-by-server");
}

// As the README has it.
TEST_F(OrchestrationClientTest, AStartCanBeWaitedFor) {
  server_.Put(Fake::StateOf("greeting-1", State::COMPLETED));
  const auto receipt = *client_->Start({.name = "Greet",
                                        .instance_id = "greeting-1",
                                        .input = "\"Ada\"",
                                        .if_active = IfActive::kAttach,
                                        .if_finished = IfFinished::kAttach});
  const auto state =
      *client_->WaitForCompletion(receipt.instance_id, absl::Minutes(5));
  EXPECT_EQ(state.status, OrchestrationStatus::kCompleted);
}

TEST_F(OrchestrationClientTest, StartOfATakenIdAlreadyExists) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  EXPECT_TRUE(absl::IsAlreadyExists(
      client_->Start({.name = "Greet", .instance_id = "a"}).status()));
}

// ---- What is known

TEST_F(OrchestrationClientTest, GetTellsWhatIsKnown) {
  State known = Fake::StateOf("a", State::FAILED);
  known.set_version("1.2");
  known.mutable_scheduled_start_time()->set_seconds(99);
  known.set_custom_status("\"half\"");
  (*known.mutable_tags())["team"] = "blue";
  known.set_parent_instance_id("parent");
  known.set_input("1");
  auto& failure = *known.mutable_failure();
  failure.set_type("Oops");
  failure.set_message("no");
  failure.set_stack_trace("at f\nat g");
  failure.set_non_retriable(true);
  failure.mutable_cause()->set_message("deeper");
  server_.Put(known);
  const OrchestrationState state = **client_->Get("a");
  EXPECT_EQ(state.instance_id, "a");
  EXPECT_EQ(state.execution_id, "run-of-a");
  EXPECT_EQ(state.name, "Greet");
  EXPECT_EQ(state.version, "1.2");
  EXPECT_EQ(state.status, OrchestrationStatus::kFailed);
  EXPECT_EQ(absl::ToUnixSeconds(state.create_time),
            known.create_time().seconds());
  EXPECT_EQ(state.update_time - state.create_time, absl::Seconds(1));
  EXPECT_EQ(*state.end_time - state.create_time, absl::Seconds(2));
  EXPECT_EQ(state.scheduled_start_time, absl::FromUnixSeconds(99));
  EXPECT_EQ(state.custom_status, "\"half\"");
  EXPECT_THAT(state.tags, ElementsAre(Pair("team", "blue")));
  EXPECT_EQ(state.parent_instance_id, "parent");
  EXPECT_EQ(state.input, "1");
  EXPECT_EQ(state.output, std::nullopt);
  ASSERT_TRUE(state.failure.has_value());
  EXPECT_EQ(state.failure->type, "Oops");
  EXPECT_EQ(state.failure->message, "no");
  EXPECT_EQ(state.failure->stack_trace, "at f\nat g");
  EXPECT_TRUE(state.failure->non_retriable);
  ASSERT_NE(state.failure->cause, nullptr);
  EXPECT_EQ(state.failure->cause->message, "deeper");
  EXPECT_EQ(state.failure->cause->cause, nullptr);
}

TEST_F(OrchestrationClientTest, GetCanLeaveOutPayloads) {
  State known = Fake::StateOf("a", State::COMPLETED);
  known.set_output("1");
  server_.Put(known);
  EXPECT_EQ((*client_->Get("a"))->output, "1");
  EXPECT_EQ((*client_->Get("a", /*payloads=*/false))->output, std::nullopt);
}

TEST_F(OrchestrationClientTest, GetOfAnUnknownIdIsEmptyAndNoError) {
  const auto state = client_->Get("a");
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_FALSE(state->has_value());
}

// ---- Waiting

TEST_F(OrchestrationClientTest, WaitForStartBlocksUntilItIsNoLongerPending) {
  server_.Put(Fake::StateOf("a", State::PENDING));
  Mailbox<OrchestrationState> begun;
  std::thread waiter([&] {
    begun.Put(*client_->WaitForStart("a", absl::InfiniteDuration()));
  });
  server_.Put(Fake::StateOf("a", State::RUNNING));
  EXPECT_EQ(begun.Take("the start").status, OrchestrationStatus::kRunning);
  waiter.join();
}

TEST_F(OrchestrationClientTest, WaitForCompletionBlocksUntilItHasEnded) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  Mailbox<OrchestrationState> ended;
  std::thread waiter(
      [&] { ended.Put(*client_->WaitForCompletion("a", absl::Hours(1))); });
  server_.Put(Fake::StateOf("a", State::SUSPENDED));
  State last = Fake::StateOf("a", State::COMPLETED);
  last.set_output("1");
  server_.Put(last);
  const OrchestrationState state = ended.Take("the end");
  EXPECT_EQ(state.status, OrchestrationStatus::kCompleted);
  EXPECT_EQ(state.output, "1");
  waiter.join();
}

TEST_F(OrchestrationClientTest, AWaitThatLastsTooLongSaysWhatHasNotHappened) {
  server_.Put(Fake::StateOf("a", State::PENDING));
  const absl::Status begun =
      client_->WaitForStart("a", absl::Milliseconds(1)).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(begun)) << begun;
  EXPECT_EQ(begun.message(), "orchestration \"a\" has not begun within 1ms");
  const absl::Status ended =
      client_->WaitForCompletion("a", absl::Milliseconds(2)).status();
  EXPECT_EQ(ended.message(), "orchestration \"a\" has not ended within 2ms");
}

TEST_F(OrchestrationClientTest, AWaitForTheUnknownIsNotFound) {
  EXPECT_TRUE(
      absl::IsNotFound(client_->WaitForStart("a", absl::Hours(1)).status()));
  EXPECT_TRUE(absl::IsNotFound(
      client_->WaitForCompletion("a", absl::Hours(1)).status()));
}

// ---- Watching

TEST_F(OrchestrationClientTest, AWatchTellsEachStateAndEndsWithTheLast) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  const auto watch = *client_->StartWatch(WatchOf("a"));
  EXPECT_EQ(states_.Take("what is there").status,
            OrchestrationStatus::kRunning);
  State half = Fake::StateOf("a", State::RUNNING);
  half.set_custom_status("half");
  server_.Put(half);
  EXPECT_EQ(states_.Take("the custom status").custom_status, "half");
  server_.Put(Fake::StateOf("a", State::TERMINATED));
  EXPECT_EQ(states_.Take("the end").status, OrchestrationStatus::kTerminated);
  EXPECT_TRUE(ended_.Take("the end of the stream").ok());
}

TEST_F(OrchestrationClientTest, AWatchCanLeaveOutPayloads) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  OrchestrationWatchOptions options = WatchOf("a");
  options.payloads = false;
  const auto watch = *client_->StartWatch(std::move(options));
  EXPECT_TRUE(ended_.Take("the end").ok());
  EXPECT_TRUE(server_.Asked<v1::GetOrchestrationRequest>()[0].omit_payloads());
}

TEST_F(OrchestrationClientTest, AWatchOfTheUnknownEndsWithNotFound) {
  const auto watch = *client_->StartWatch(WatchOf("a"));
  EXPECT_TRUE(absl::IsNotFound(ended_.Take("the refusal")));
}

TEST_F(OrchestrationClientTest, AWatchThatIsCancelledSaysSo) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  const auto watch = *client_->StartWatch(WatchOf("a"));
  states_.Take("what is there");
  watch->Cancel();
  EXPECT_TRUE(absl::IsCancelled(ended_.Take("the end")));
}

TEST_F(OrchestrationClientTest, AWatchEndsWhenItsTimeIsUp) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  OrchestrationWatchOptions options = WatchOf("a");
  options.timeout = absl::Milliseconds(1);
  const auto watch = *client_->StartWatch(std::move(options));
  EXPECT_TRUE(absl::IsDeadlineExceeded(ended_.Take("the end")));
}

TEST_F(OrchestrationClientTest, ADestroyedWatchTellsNothing) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  auto watch = *client_->StartWatch(WatchOf("a"));
  watch.reset();
  const size_t told = states_.size();
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_EQ(states_.size(), told);
  EXPECT_EQ(ended_.size(), 0u);
}

// ---- Commands

TEST_F(OrchestrationClientTest, CommandsSayAllThatTheyAreGiven) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  EXPECT_TRUE(client_->RaiseEvent("a", "go", "1").ok());
  EXPECT_TRUE(client_->RaiseEvent("a", "stop", std::nullopt).ok());
  const auto raised = server_.Asked<v1::RaiseOrchestrationEventRequest>();
  ASSERT_THAT(raised, SizeIs(2));
  EXPECT_EQ(raised[0].name(), "go");
  EXPECT_EQ(raised[0].input(), "1");
  EXPECT_FALSE(raised[1].has_input());

  EXPECT_TRUE(client_->Suspend("a", "lunch").ok());
  EXPECT_EQ(server_.Asked<v1::SuspendOrchestrationRequest>()[0].reason(),
            "lunch");
  EXPECT_EQ(server_.Find("a")->status(), State::SUSPENDED);
  EXPECT_TRUE(client_->Resume("a", "back").ok());
  EXPECT_EQ(server_.Asked<v1::ResumeOrchestrationRequest>()[0].reason(),
            "back");
  EXPECT_EQ(server_.Find("a")->status(), State::RUNNING);

  EXPECT_TRUE(client_->Terminate("a", {.output = "1", .recursive = true}).ok());
  server_.Put(Fake::StateOf("b", State::RUNNING));
  EXPECT_TRUE(client_->Terminate("b", {.force = true}).ok());
  const auto ended = server_.Asked<v1::TerminateOrchestrationRequest>();
  EXPECT_EQ(ended[0].output(), "1");
  EXPECT_TRUE(ended[0].recursive());
  EXPECT_FALSE(ended[0].force());
  EXPECT_TRUE(ended[1].force());
  EXPECT_EQ(server_.Find("a")->status(), State::TERMINATED);
}

TEST_F(OrchestrationClientTest, CommandsOfOneThatHasEndedAreRefused) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(client_->RaiseEvent("a", "go", std::nullopt)));
  EXPECT_TRUE(absl::IsFailedPrecondition(client_->Suspend("a")));
  EXPECT_TRUE(absl::IsFailedPrecondition(client_->Resume("a")));
  EXPECT_TRUE(absl::IsFailedPrecondition(client_->Terminate("a")));
  EXPECT_TRUE(absl::IsNotFound(client_->Terminate("b")));
}

TEST_F(OrchestrationClientTest, RestartGivesAReceipt) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  EXPECT_TRUE(absl::IsFailedPrecondition(client_->Restart("a").status()));
  EXPECT_EQ(client_->Restart("a", /*new_id=*/true)->instance_id,
            "made-by-server");
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_EQ(client_->Restart("a")->instance_id, "a");
  EXPECT_TRUE(absl::IsNotFound(client_->Restart("b").status()));
}

// ---- Purge

TEST_F(OrchestrationClientTest, PurgeErasesOneThatHasEnded) {
  server_.Put(Fake::StateOf("a", State::RUNNING));
  EXPECT_TRUE(absl::IsFailedPrecondition(client_->Purge("a").status()));
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_EQ(*client_->Purge("a", /*recursive=*/true), 1);
  EXPECT_FALSE(server_.Find("a").has_value());
  const auto asked = server_.Asked<v1::PurgeOrchestrationRequest>();
  EXPECT_FALSE(asked[0].recursive());
  EXPECT_TRUE(asked[1].recursive());
  EXPECT_TRUE(absl::IsNotFound(client_->Purge("a").status()));
}

TEST_F(OrchestrationClientTest, PurgeManyErasesTheseAndNoOthers) {
  for (const char* id : {"a", "b", "c"}) {
    server_.Put(Fake::StateOf(id, State::COMPLETED));
  }
  EXPECT_EQ(client_->PurgeMany({"a", "c", "x"})->purged, 2);
  EXPECT_TRUE(server_.Find("b").has_value());
}

TEST_F(OrchestrationClientTest, PurgeManyOfNoneErasesNone) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  EXPECT_EQ(client_->PurgeMany({})->purged, 0);
  EXPECT_TRUE(server_.Find("a").has_value());
}

TEST_F(OrchestrationClientTest, PurgeMatchingSaysItsConditions) {
  server_.Put(Fake::StateOf("a-1", State::COMPLETED));
  server_.Put(Fake::StateOf("a-2", State::FAILED));
  OrchestrationFilter filter;
  filter.statuses = {OrchestrationStatus::kFailed};
  filter.id_prefix = "a-";
  filter.created_from = absl::FromUnixSeconds(1);
  filter.created_to = absl::FromUnixSeconds(2);
  filter.name = "Greet";
  filter.tags = {"team=blue"};
  EXPECT_EQ(client_->PurgeMatching(filter, /*recursive=*/true)->purged, 1);
  const auto asked = server_.Asked<v1::PurgeOrchestrationsRequest>();
  EXPECT_THAT(asked[0].filter().statuses(), ElementsAre(State::FAILED));
  EXPECT_EQ(asked[0].filter().id_prefix(), "a-");
  EXPECT_EQ(asked[0].filter().created_from().seconds(), 1);
  EXPECT_EQ(asked[0].filter().created_to().seconds(), 2);
  EXPECT_EQ(asked[0].filter().name(), "Greet");
  EXPECT_THAT(asked[0].filter().tags(), ElementsAre("team=blue"));
  EXPECT_TRUE(asked[0].recursive());
}

TEST_F(OrchestrationClientTest, APurgeThatRanOutOfTimeSaysSo) {
  server_.Put(Fake::StateOf("a", State::COMPLETED));
  server_.Put(Fake::StateOf("b", State::COMPLETED));
  server_.HurryNextPurge(1);
  const PurgeResult result = *client_->PurgeMatching({});
  EXPECT_EQ(result.purged, 1);
  EXPECT_FALSE(result.complete);
  EXPECT_TRUE(client_->PurgeMatching({})->complete);
}

// ---- History

TEST_F(OrchestrationClientTest, HistoryTellsEachEventInOrder) {
  std::vector<v1::OrchestrationEvent> events(4);
  events[0].set_id(-1);
  events[0].mutable_time()->set_seconds(5);
  auto& started = *events[0].mutable_execution_started();
  started.set_name("Greet");
  started.set_version("1");
  started.set_input("\"Ada\"");
  started.set_execution_id("run-1");
  started.set_parent_instance_id("parent");
  started.mutable_scheduled_start_time()->set_seconds(4);
  (*started.mutable_tags())["team"] = "blue";
  events[1].set_id(1);
  events[1].mutable_activity_scheduled()->set_name("SayHello");
  events[2].set_id(-1);
  events[2].mutable_activity_failed()->set_scheduled_id(1);
  events[2].mutable_activity_failed()->mutable_failure()->set_type("Oops");
  events[3].set_id(2);
  events[3].mutable_execution_completed()->set_status(State::FAILED);
  server_.PutHistory("a", events);
  std::vector<OrchestrationEvent> told;
  ASSERT_TRUE(client_
                  ->GetHistory("a", "run-1",
                               [&](const OrchestrationEvent& event) {
                                 told.push_back(event);
                                 return true;
                               })
                  .ok());
  EXPECT_EQ(
      server_.Asked<v1::GetOrchestrationHistoryRequest>()[0].execution_id(),
      "run-1");
  ASSERT_THAT(told, SizeIs(4));
  using Kind = OrchestrationEvent::Kind;
  EXPECT_EQ(told[0].kind, Kind::kExecutionStarted);
  EXPECT_EQ(told[0].id, -1);
  EXPECT_EQ(told[0].time, absl::FromUnixSeconds(5));
  EXPECT_EQ(told[0].name, "Greet");
  EXPECT_EQ(told[0].version, "1");
  EXPECT_EQ(told[0].input, "\"Ada\"");
  EXPECT_EQ(told[0].execution_id, "run-1");
  EXPECT_EQ(told[0].parent_instance_id, "parent");
  EXPECT_EQ(told[0].scheduled_start_time, absl::FromUnixSeconds(4));
  EXPECT_THAT(told[0].tags, ElementsAre(Pair("team", "blue")));
  EXPECT_EQ(told[0].scheduled_id, std::nullopt);
  EXPECT_EQ(told[1].kind, Kind::kActivityScheduled);
  EXPECT_EQ(told[1].name, "SayHello");
  EXPECT_EQ(told[1].input, std::nullopt);
  EXPECT_EQ(told[2].scheduled_id, 1);
  EXPECT_EQ(told[2].failure->type, "Oops");
  EXPECT_EQ(told[3].status, OrchestrationStatus::kFailed);
}

TEST_F(OrchestrationClientTest, HistoryStopsWhenNoMoreIsWanted) {
  server_.PutHistory("a", std::vector<v1::OrchestrationEvent>(1000));
  int told = 0;
  EXPECT_TRUE(
      client_
          ->GetHistory("a", "",
                       [&](const OrchestrationEvent&) { return ++told < 3; })
          .ok());
  EXPECT_EQ(told, 3);
}

TEST_F(OrchestrationClientTest, HistoryOfTheUnknownIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(client_->GetHistory(
      "a", "", [](const OrchestrationEvent&) { return true; })));
}

// ---- Errors

TEST_F(OrchestrationClientTest, WhatIsNotUtf8IsRefusedBeforeTheCall) {
  const std::string bad = "\xff";
  const auto refused = [](const absl::Status& status, const char* what) {
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(what));
  };
  refused(client_->Start({.name = bad}).status(), "name");
  refused(client_->Start({.name = "a", .instance_id = bad}).status(), "ID");
  refused(client_->Start({.name = "a", .input = bad}).status(), "input");
  refused(client_->Start({.name = "a", .tags = {{"x", bad}}}).status(), "tag");
  refused(client_->Get(bad).status(), "ID");
  refused(client_->WaitForStart(bad, absl::Hours(1)).status(), "ID");
  refused(client_->WaitForCompletion(bad, absl::Hours(1)).status(), "ID");
  refused(client_->StartWatch(WatchOf(bad)).status(), "ID");
  refused(client_->RaiseEvent("a", bad, std::nullopt), "name");
  refused(client_->RaiseEvent("a", "go", bad), "input");
  refused(client_->Suspend("a", bad), "reason");
  refused(client_->Resume("a", bad), "reason");
  refused(client_->Terminate("a", {.output = bad}), "output");
  refused(client_->Restart(bad).status(), "ID");
  refused(client_->Purge(bad).status(), "ID");
  refused(client_->PurgeMany({"a", bad}).status(), "ID");
  refused(client_->GetHistory("a", bad, [](const auto&) { return true; }),
          "execution ID");
}

TEST_F(OrchestrationClientTest, AServerThatIsNotThereIsUnavailableByName) {
  const auto client = *OrchestrationClient::Connect("unix:/nowhere");
  const auto unavailable = [](const absl::Status& status) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("unix:/nowhere"));
  };
  unavailable(client->Get("a").status());
  unavailable(
      client->WaitForCompletion("a", absl::InfiniteDuration()).status());
  unavailable(client->GetHistory("a", "", [](const auto&) { return true; }));
}

TEST_F(OrchestrationClientTest, APayloadMayBeLargerThanGrpcsOwnBound) {
  State known = Fake::StateOf("a", State::COMPLETED);
  known.set_output(std::string(size_t{5} << 20, 'x'));
  server_.Put(known);
  const auto state = client_->Get("a");
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(*(*state)->output, SizeIs(size_t{5} << 20));
}

TEST_F(OrchestrationClientTest, RefusesAnInvalidAddress) {
  EXPECT_TRUE(
      absl::IsInvalidArgument(OrchestrationClient::Connect("here").status()));
}

}  // namespace
}  // namespace leasehold::client
