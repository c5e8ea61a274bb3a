// The programs that service/embed/README.md quotes: install_test.py looks for
// its quotes here, so that they are compiled; the tests run them.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "service/instance/session_provider.h"
#include "tests/embedding/embedding_fixture.h"

namespace leasehold {
namespace {

class Cart {
 public:
  int items() const { return 3; }
  int64_t Discount(int64_t total) { return total - 1; }
};

class Prices {
 public:
  void Ask(int items, const std::function<void(int64_t total)>& told) {
    told(items * 10);
  }
};

class Account {
 public:
  static constexpr auto kConcurrency = leasehold::Concurrency::kReentrant;
  void Freeze() {}
};

class Auction {
 public:
  static constexpr auto kConcurrency = leasehold::Concurrency::kSerial;
  void OnAttach(leasehold::InstanceContext& context) {
    leasehold::SetTimer<Auction>(context, absl::Minutes(5), [](Auction& a) {
      a.Close();
    }).IgnoreError();
  }
  static inline std::atomic<bool> closed = false;

 private:
  void Close() { closed = true; }
};

class Shop {
 public:
  explicit Shop(leasehold::Instances& instances) : instances_(instances) {}

  grpc::ServerUnaryReactor* Price(grpc::CallbackServerContext* call,
                                  counter::v1::AddReply* reply) {
    return instances_.Bind<Cart>(
        call, [=, this](Cart& cart, leasehold::PendingAnswer answer) {
          prices_.Ask(cart.items(), [&cart, reply, answer](int64_t total) {
            reply->set_value(cart.Discount(total));
            answer(grpc::Status::OK);
          });
        });
  }

  grpc::ServerUnaryReactor* Audit(grpc::CallbackServerContext* call,
                                  const counter::v1::AddRequest* request,
                                  counter::v1::AddReply* reply) {
    return instances_.Bind<Account>(
        call, [=, this](Account& account, leasehold::InstanceContext&,
                        const leasehold::CallChain& chain) {
          account.Freeze();
          grpc::ClientContext out;
          leasehold::AddCallChain(chain, out);
          return bank_->Add(&out, *request, reply);  // May call this account.
        });
  }

  Prices prices_;
  std::unique_ptr<counter::v1::Counter::StubInterface> bank_;

 private:
  leasehold::Instances& instances_;
};

class ChatService {
 public:
  explicit ChatService(leasehold::InstanceBinder instances)
      : instances_(std::move(instances)) {}
  grpc::ServerUnaryReactor* Say(grpc::CallbackServerContext* call) {
    return instances_.Bind<Cart>(call, [](Cart&) { return grpc::Status::OK; });
  }

 private:
  leasehold::InstanceBinder instances_;
};

class EmbedReadmeTest : public EmbeddingTest {};

TEST_F(EmbedReadmeTest, AnAnswerComesLater) {
  Make();
  Shop shop(*instances_);
  ScriptedCounter service(
      [&](auto* call, auto*, auto* reply) { return shop.Price(call, reply); });
  const auto serving = Serve(service);
  EXPECT_EQ(Add("room", 1), 29);
}

TEST_F(EmbedReadmeTest, TheChainIsSentOn) {
  // The bank, at another address.
  std::string chain;
  ScriptedCounter bank([&](auto* call, auto*, auto*) {
    chain = ReadCallChain(*call)->header();
    auto* const reactor = call->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  });
  grpc::ServerBuilder builder;
  builder.RegisterService(&bank);
  const std::unique_ptr<grpc::Server> other = builder.BuildAndStart();
  Make();
  Shop shop(*instances_);
  shop.bank_ = counter::v1::Counter::NewStub(
      other->InProcessChannel(grpc::ChannelArguments()));
  ScriptedCounter service([&](auto* call, auto* request, auto* reply) {
    return shop.Audit(call, request, reply);
  });
  const auto serving = Serve(service);
  Add("room", 1);
  EXPECT_EQ(chain.size(), 22u);
  other->Shutdown();
}

TEST_F(EmbedReadmeTest, AServiceHasItsProvider) {
  leasehold::SessionProvider sessions;  // Outlives the Instances.
  Make();
  leasehold::Instances& instances = *instances_;
  ChatService chat(instances.ForService({.provider = &sessions}));
  ScriptedCounter service(
      [&](auto* call, auto*, auto*) { return chat.Say(call); });
  const auto serving = Serve(service);
  Add("room", 1);
  events_.Await(InstanceEventKind::kClosed, "room");
}

TEST_F(EmbedReadmeTest, AnAuctionCloses) {
  Make({.idle_timeout = absl::Hours(1)});
  ScriptedCounter service([&](auto* call, auto*, auto*) {
    return instances_->Bind<Auction>(call,
                                     [](Auction&) { return grpc::Status::OK; });
  });
  const auto serving = Serve(service);
  Add("room", 1);
  clock_.Advance(absl::Minutes(6));
  while (!Auction::closed) std::this_thread::yield();
}

}  // namespace
}  // namespace leasehold
