// The Durable Task door for workers, without an engine: streams of work, and
// what becomes of answers.
#include "service/doors/durable_task_worker.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "durabletask/orchestrator_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/doors/durable_task_server.h"
#include "tests/doors/door_server.h"
#include "tests/doors/fake_entities.h"
#include "tests/doors/fake_orchestrations.h"
#include "tests/doors/fake_work_exchange.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Hub = TaskHubSidecarService;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

std::string Item(const std::string& token, size_t bytes = 0) {
  ::WorkItem item;
  item.set_completiontoken(token);
  item.mutable_activityrequest()->mutable_input()->set_value(
      std::string(bytes, 'x'));
  return item.SerializeAsString();
}

// As the dispatcher sends.
void Send(WorkSink& sink, std::string item) {
  sink.Announce(item.size());
  sink.Send(std::move(item));
}

class DurableTaskWorkerTest : public testing::Test {
 protected:
  static constexpr absl::Duration kPingInterval = absl::Seconds(20);

  // A worker's stream whose ping at its beginning was read.
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<::WorkItem>> reader;
    FakeWorkExchange::Connected connected;
    bool finished = false;

    ~Stream() {
      if (finished) return;
      context.TryCancel();
      ::WorkItem item;
      while (reader->Read(&item)) {
      }
      reader->Finish();
    }
    grpc::Status Finish() {
      finished = true;
      return reader->Finish();
    }
    // What comes next: a token, "ping", or "end".
    std::string Read() {
      ::WorkItem item;
      if (!reader->Read(&item)) return "end";
      return item.has_healthping() ? "ping" : item.completiontoken();
    }
  };
  std::unique_ptr<Stream> Connect(const GetWorkItemsRequest& request = {}) {
    auto stream = std::make_unique<Stream>();
    stream->reader = stub_->GetWorkItems(&stream->context, request);
    stream->connected = work_.TakeWorker();
    EXPECT_EQ(stream->Read(), "ping");
    return stream;
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Hub::Stub::*method)(grpc::ClientContext*,
                                                      const Request&,
                                                      Response*),
                    const std::string& request) {
    grpc::ClientContext context;
    Response response;
    return (stub_.get()->*method)(&context, Parse<Request>(request), &response);
  }

  SimulatedClock clock_;
  FakeOrchestrations orchestrations_;
  FakeEntities entities_;
  FakeWorkExchange work_;
  DurableTaskServer service_{orchestrations_,
                             entities_,
                             work_,
                             clock_,
                             {.ping_interval = kPingInterval}};
  DoorServer server_{service_, clock_};
  std::unique_ptr<Hub::Stub> stub_ = Hub::NewStub(server_.channel());
};

// ---- Streams ----------------------------------------------------------------

TEST_F(DurableTaskWorkerTest, AWorkerConnectsAsItAsks) {
  const auto stream = Connect(Parse<GetWorkItemsRequest>(
      "maxConcurrentOrchestrationWorkItems: 3 "
      "maxConcurrentActivityWorkItems: 4 "
      "maxConcurrentEntityWorkItems: 5 "
      "capabilities: WORKER_CAPABILITY_HISTORY_STREAMING "
      "workItemFilters { activities { name: 'N' versions: '1' } }"));
  const WorkerOptions& options = stream->connected.options;
  EXPECT_THAT(options.slots, ElementsAre(3, 4, 5));
  EXPECT_TRUE(options.streams_history);
  EXPECT_FALSE(options.last_resort);
  EXPECT_NE(options.peer, "");
  ASSERT_TRUE(options.filters[1].has_value());
  EXPECT_EQ(options.filters[1]->front().name, "N");
}

TEST_F(DurableTaskWorkerTest, AWorkerOfGoIsSentNoEntities) {
  const auto go = Hub::NewStub(server_.ChannelOf("grpc-go/1.60.1"));
  Stream stream;
  stream.reader = go->GetWorkItems(&stream.context, {});
  const WorkerOptions options = work_.TakeWorker().options;
  EXPECT_FALSE(options.filters[0].has_value());
  ASSERT_TRUE(options.filters[2].has_value());
  EXPECT_TRUE(options.filters[2]->empty());
}

TEST_F(DurableTaskWorkerTest, ItemsArriveInOrderAsTheyAre) {
  const auto stream = Connect();
  for (const char* token : {"1", "2", "3"}) {
    Send(*stream->connected.sink, Item(token));
  }
  for (const char* token : {"1", "2", "3"}) EXPECT_EQ(stream->Read(), token);
}

TEST_F(DurableTaskWorkerTest, AWorkerThatVanishesIsDisconnected) {
  auto stream = Connect();
  Send(*stream->connected.sink, Item("1"));
  const std::shared_ptr<WorkSink> sink = stream->connected.sink;
  stream.reset();
  EXPECT_EQ(work_.TakeCall(), "Disconnect 9");
  // The exchange may still be about to send: that goes nowhere.
  Send(*sink, Item("2"));
  EXPECT_TRUE(
      Call(&Hub::Stub::AbandonTaskActivityWorkItem, "completionToken: '1'")
          .ok());
}

TEST_F(DurableTaskWorkerTest, AStreamEndsWithTheServerAndNeverWithOk) {
  auto stream = Connect();
  server_.EndStreams();
  EXPECT_EQ(work_.TakeCall(), "Disconnect 9");
  EXPECT_EQ(stream->Read(), "end");
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "the server is stopping");
}

TEST_F(DurableTaskWorkerTest, AFilterThatBreaksALimitIsRefused) {
  grpc::ClientContext context;
  const auto reader = stub_->GetWorkItems(
      &context,
      Parse<GetWorkItemsRequest>("workItemFilters { activities { name: '" +
                                 std::string(2'000, 'n') + "' } }"));
  ::WorkItem item;
  EXPECT_FALSE(reader->Read(&item));
  EXPECT_EQ(reader->Finish().error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(work_.untaken_calls(), 0u);
}

// Goal: what a worker has not read counts as untaken, so that it gets no more,
// until it reads on. Method: 32 MiB fill every buffer between the two.
TEST_F(DurableTaskWorkerTest, AWorkerThatDoesNotReadHoldsItsSinkUp) {
  constexpr int kItems = 32;
  const auto stream = Connect();
  WorkSink& sink = *stream->connected.sink;
  for (int i = 0; i < kItems; ++i) {
    Send(sink, Item(std::to_string(i), 1 << 20));
  }
  EXPECT_GT(sink.untaken(), WorkSink::kUntakenBytesMax);
  // While the buffers were filling, there may have been room for a moment.
  while (work_.untaken_calls() > 0) EXPECT_EQ(work_.TakeCall(), "OnWorkTaken");
  for (int i = 0; i < kItems; ++i) EXPECT_EQ(stream->Read(), std::to_string(i));
  EXPECT_EQ(work_.TakeCall(), "OnWorkTaken");
  EXPECT_LE(sink.untaken(), WorkSink::kUntakenBytesMax);
  // Once, when there is room again.
  Send(sink, Item("last"));
  EXPECT_EQ(stream->Read(), "last");
  EXPECT_EQ(work_.untaken_calls(), 0u);
}

TEST_F(DurableTaskWorkerTest, ASilentStreamIsPinged) {
  const auto stream = Connect();
  for (int i = 0; i < 2; ++i) {
    const Instant round = clock_.Now() + kPingInterval / 2;
    clock_.AwaitWaiter(round);
    clock_.AdvanceTo(round);
  }
  EXPECT_EQ(stream->Read(), "ping");
}

// ---- Answers ----------------------------------------------------------------

TEST_F(DurableTaskWorkerTest, AnswersReachTheExchange) {
  EXPECT_TRUE(Call(&Hub::Stub::CompleteActivityTask,
                   "instanceId: 'a' taskId: 3 result { value: 'r' }"
                   "completionToken: 't'")
                  .ok());
  EXPECT_EQ(work_.TakeCall(), "CompleteActivity default/a t 3 r");
  EXPECT_TRUE(
      Call(&Hub::Stub::CompleteOrchestratorTask,
           "instanceId: 'a' completionToken: 't' actions { id: 1"
           "  completeOrchestration {"
           "    orchestrationStatus: ORCHESTRATION_STATUS_COMPLETED } }")
          .ok());
  EXPECT_EQ(work_.TakeCall(), "CompleteTurn default/a t 1 actions");
  EXPECT_TRUE(
      Call(&Hub::Stub::AbandonTaskActivityWorkItem, "completionToken: 't'")
          .ok());
  EXPECT_EQ(work_.TakeCall(), "Abandon activity t");
  EXPECT_TRUE(
      Call(&Hub::Stub::AbandonTaskOrchestratorWorkItem, "completionToken: 't'")
          .ok());
  EXPECT_EQ(work_.TakeCall(), "Abandon turn t");
  EXPECT_EQ(work_.untaken_calls(), 0u);
}

TEST_F(DurableTaskWorkerTest, AnAnswerThatIsRefusedSaysWhy) {
  work_.failure = absl::NotFoundError("another worker has it");
  for (const grpc::Status& status :
       {Call(&Hub::Stub::CompleteActivityTask, "completionToken: 't'"),
        Call(&Hub::Stub::CompleteOrchestratorTask, "completionToken: 't'")}) {
    EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
    EXPECT_EQ(status.error_message(), "another worker has it");
  }
}

TEST_F(DurableTaskWorkerTest, AnAnswerThatSaysNothingEndsItsWork) {
  const grpc::Status status =
      Call(&Hub::Stub::CompleteOrchestratorTask,
           "instanceId: 'a' completionToken: 't' actions { id: 5 }");
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(work_.TakeCall(),
              StartsWith("RefuseAnswer turn default/a t its answer could not "
                         "be read: action 5"));
}

// ---- Histories --------------------------------------------------------------

std::string Frames(const std::vector<std::string>& names) {
  std::string frames;
  for (const std::string& name : names) {
    AppendFrame(
        frames, kStoredFrame,
        EncodeEvent({.id = 1, .time = {}, .body = EventRaised{name, {}}}));
  }
  return frames;
}

TEST_F(DurableTaskWorkerTest, AHistoryIsStreamedPartByPart) {
  orchestrations_.history = {{.chunks = {Frames({"1", "2"}), Frames({"3"})},
                              .next = HistoryQuery{.page_token = {"t"}}},
                             {.chunks = {Frames({"4"})}, .next = {}}};
  grpc::ClientContext context;
  const auto reader = stub_->StreamInstanceHistory(
      &context, Parse<StreamInstanceHistoryRequest>(
                    "instanceId: 'a' executionId { value: 'x' }"));
  std::vector<std::string> names;
  HistoryChunk chunk;
  while (reader->Read(&chunk)) {
    for (const auto& event : chunk.events()) {
      names.push_back(event.eventraised().name());
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(names, ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(orchestrations_.TakeCall(),
            "ReadHistory default/a \"x\" from \"\"");
  EXPECT_EQ(orchestrations_.TakeCall(),
            "ReadHistory default/a none from \"t\"");
}

TEST_F(DurableTaskWorkerTest, AHistoryThatCannotBeReadSaysWhy) {
  orchestrations_.failure = absl::AbortedError("it continued as new");
  grpc::ClientContext context;
  const auto reader = stub_->StreamInstanceHistory(
      &context, Parse<StreamInstanceHistoryRequest>("instanceId: 'a'"));
  HistoryChunk chunk;
  EXPECT_FALSE(reader->Read(&chunk));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::ABORTED);
  EXPECT_EQ(status.error_message(), "it continued as new");
}

}  // namespace
}  // namespace leasehold
