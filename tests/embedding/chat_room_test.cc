// The chat room of service/examples, in process.
#include "chat_room.grpc.pb.h"
#include "join_reactor.h"
#include "room.h"
#include "tests/embedding/embedding_fixture.h"

namespace leasehold {
namespace {

class ChatRoomService final : public chat::v1::ChatRoom::CallbackService {
 public:
  explicit ChatRoomService(std::unique_ptr<Instances>& instances)
      : instances_(instances) {}

  grpc::ServerWriteReactor<chat::v1::Line>* Join(
      grpc::CallbackServerContext* call,
      const chat::v1::JoinRequest*) override {
    return new JoinReactor(*instances_, call);
  }
  grpc::ServerUnaryReactor* Say(grpc::CallbackServerContext* call,
                                const chat::v1::SayRequest* request,
                                chat::v1::SayReply* reply) override {
    return instances_->Bind<Room>(call, [=](Room& room) {
      reply->set_listeners(room.Say(request->name(), request->text()));
      return grpc::Status::OK;
    });
  }

 private:
  std::unique_ptr<Instances>& instances_;
};

// Somebody in a room.
class Reader {
 public:
  Reader(std::shared_ptr<grpc::Channel> channel, const std::string& id)
      : stub_(chat::v1::ChatRoom::NewStub(std::move(channel))) {
    context_.AddMetadata("instance-id", id);
    reader_ = stub_->Join(&context_, chat::v1::JoinRequest());
    reader_->WaitForInitialMetadata();
  }

  bool Read() { return reader_->Read(&line_); }
  const chat::v1::Line& line() const { return line_; }
  void Cancel() { context_.TryCancel(); }
  grpc::StatusCode Finish() { return reader_->Finish().error_code(); }
  // Reads to the end.
  grpc::StatusCode Drain() {
    while (Read()) {
    }
    return Finish();
  }

 private:
  std::unique_ptr<chat::v1::ChatRoom::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<chat::v1::Line>> reader_;
  chat::v1::Line line_;
};

class ChatRoomTest : public EmbeddingTest {
 protected:
  ChatRoomTest() : serving_((Make(), Serve(service_))) {}

  int Say(const std::string& id, const std::string& text) {
    const auto stub = chat::v1::ChatRoom::NewStub(Channel());
    grpc::ClientContext context;
    context.AddMetadata("instance-id", id);
    chat::v1::SayRequest request;
    request.set_name("Ann");
    request.set_text(text);
    chat::v1::SayReply reply;
    EXPECT_TRUE(stub->Say(&context, request, &reply).ok());
    return reply.listeners();
  }

  ChatRoomService service_{instances_};
  const Serving serving_;
};

TEST_F(ChatRoomTest, AllInTheRoomHearWhatIsSaidInOneOrder) {
  Reader first(Channel(), "hall");
  Reader second(Channel(), "hall");
  Reader elsewhere(Channel(), "kitchen");
  EXPECT_EQ(Say("hall", "one"), 2);
  EXPECT_EQ(Say("hall", "two"), 2);
  for (Reader* reader : {&first, &second}) {
    ASSERT_TRUE(reader->Read());
    EXPECT_EQ(reader->line().text(), "one");
    EXPECT_EQ(reader->line().number(), 1);
    ASSERT_TRUE(reader->Read());
    EXPECT_EQ(reader->line().text(), "two");
    reader->Cancel();
    EXPECT_EQ(reader->Drain(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_EQ(Say("kitchen", "hello"), 1);
  elsewhere.Cancel();
  EXPECT_EQ(elsewhere.Drain(), grpc::StatusCode::CANCELLED);
}

TEST_F(ChatRoomTest, EveryListenerKeepsTheRoomOpenAndLeavingStartsItsLease) {
  Reader reader(Channel(), "hall");
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(events_.count(InstanceEventKind::kIdle, "hall"), 0);
  reader.Cancel();
  EXPECT_EQ(reader.Drain(), grpc::StatusCode::CANCELLED);
  events_.Await(InstanceEventKind::kIdle, "hall");
  clock_.Advance(absl::Seconds(21));
  events_.Await(InstanceEventKind::kClosed, "hall");
}

TEST_F(ChatRoomTest, ASlowReaderIsShownOutAndTheOthersGoOn) {
  Reader slow(Channel(), "hall");
  const std::string text(10'000, 'x');
  int said = 0;
  while (Say("hall", text) == 1 &&
         said < 10 * static_cast<int>(JoinReactor::kUnreadMax)) {
    ++said;
    if (said == 5 * static_cast<int>(JoinReactor::kUnreadMax)) break;
  }
  EXPECT_EQ(slow.Drain(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  events_.Await(InstanceEventKind::kIdle, "hall");
  EXPECT_EQ(Say("hall", "gone?"), 0);
}

TEST_F(ChatRoomTest, AForcedReleaseSendsEverybodyAway) {
  Reader reader(Channel(), "hall");
  Latch closed;
  EXPECT_TRUE(instances_->registry()
                  .Release(instances_->Key("hall"), /*force=*/true,
                           [&closed] { closed.Open(); })
                  .ok());
  EXPECT_EQ(reader.Drain(), grpc::StatusCode::ABORTED);
  closed.Await();
}

// Neither the drain timeout (10 s) nor a cancellation is waited for.
TEST_F(ChatRoomTest, ADrainSendsEverybodyAwayAtOnce) {
  Reader reader(Channel(), "hall");
  Reader elsewhere(Channel(), "kitchen");
  instances_->BeginDrain();
  EXPECT_EQ(reader.Drain(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(elsewhere.Drain(), grpc::StatusCode::UNAVAILABLE);
  Reader late(Channel(), "hall");
  EXPECT_EQ(late.Drain(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace leasehold
