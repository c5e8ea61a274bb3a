// Calls that come back to their own instance, by the chain that they came from.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "service/embed/chain_metadata.h"
#include "tests/embedding/embedding_fixture.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;

// One at a time, but for those that come back.
class Account {
 public:
  static constexpr auto kConcurrency = Concurrency::kReentrant;
  int64_t Add(int64_t amount) {
    EXPECT_EQ(running_.fetch_add(1), 0);
    value_ += amount;
    running_.fetch_sub(1);
    return value_;
  }

 private:
  std::atomic<int> running_{0};
  int64_t value_ = 0;
};

// A plain serial one: whoever comes back waits.
class Strict : public Account {
 public:
  static constexpr auto kConcurrency = Concurrency::kSerial;
};

// The same as an Extension.
class AccountExtension final : public SerialExtension {
 public:
  AccountExtension() : SerialExtension(Concurrency::kReentrant) {}
  int64_t Add(int64_t amount) { return value_ += amount; }

 private:
  int64_t value_ = 0;
};

// Its handlers call on in threads of their own: one that blocked would hold a
// thread that gRPC needs for the call that comes back.
class CallChainTest : public EmbeddingTest {
 protected:
  ~CallChainTest() override {
    for (std::thread& thread : threads_) thread.join();
  }

  // `amount` counts down: each call above 1 makes one with one less, of the
  // instance that `next` says, and adds its own amount afterwards.
  template <typename State>
  Serving ServeCountdown(
      std::function<std::string(const InstanceContext&)> next) {
    service_ = std::make_unique<ScriptedCounter>(
        [this, next](auto* call, auto* request, auto* reply) {
          return instances_->Bind<State>(
              call,
              [=, this](State& state, InstanceContext& context,
                        const PendingAnswer& answer) {
                if (request->amount() <= 1) {
                  reply->set_value(state.Add(request->amount()));
                  return answer(grpc::Status::OK);
                }
                Spawn([=, this, &state, id = next(context)] {
                  leasehold::Call inner(Channel(), id);
                  if (passes_on_) {
                    AddCallChain(answer.chain(), inner.context());
                  }
                  const grpc::Status status = inner.Run(request->amount() - 1);
                  if (status.ok()) {
                    reply->set_value(state.Add(request->amount()));
                  }
                  answer(status);
                });
              },
              "Add");
        });
    return Serve(*service_);
  }
  template <typename State>
  Serving ServeCountdown() {
    return ServeCountdown<State>([](const InstanceContext& context) {
      return std::string(context.id());
    });
  }
  void Spawn(std::function<void()> body) {
    MutexLock lock(mu_);
    threads_.emplace_back(std::move(body));
  }

  bool passes_on_ = true;
  std::unique_ptr<ScriptedCounter> service_;
  Mutex mu_;
  std::vector<std::thread> threads_;
};

TEST_F(CallChainTest, ACallThatComesBackToItsInstanceIsLetIn) {
  Make();
  const auto serving = ServeCountdown<Account>();
  EXPECT_EQ(Add("room", 2), 3);
  EXPECT_EQ(Add("room", 4), 13);  // 3 + 1 + 2 + 3 + 4
}

TEST_F(CallChainTest, AnExtensionMayBeReentrantToo) {
  Make();
  const auto serving = ServeCountdown<AccountExtension>();
  EXPECT_EQ(Add("room", 3), 6);
}

TEST_F(CallChainTest, ItMayComeBackThroughAnotherInstance) {
  Make();
  const auto serving =
      ServeCountdown<Account>([](const InstanceContext& context) {
        return std::string(context.id() == "a" ? "b" : "a");
      });
  EXPECT_EQ(Add("a", 5), 9);  // 1 + 3 + 5; `b` has 2 + 4.
}

TEST_F(CallChainTest, AHandlerGetsTheChainWithItsOwnLink) {
  Make();
  std::vector<std::string> chains;
  service_ = std::make_unique<ScriptedCounter>([&](auto* call, auto*, auto*) {
    return instances_->Bind<Account>(
        call, [&](Account&, InstanceContext&, const CallChain& chain) {
          chains.push_back(chain.header());
          return grpc::Status::OK;
        });
  });
  const auto serving = Serve(*service_);
  Add("room", 1);
  const auto call = NewCall("room");
  AddCallChain(*CallChain::Parse(chains[0]), call->context());
  EXPECT_TRUE(call->Run(1).ok());
  ASSERT_EQ(chains.size(), 2u);
  EXPECT_EQ(chains[0].size(), 22u);
  EXPECT_EQ(chains[1].size(), 45u);
  EXPECT_TRUE(chains[1].starts_with(chains[0] + "."));
}

TEST_F(CallChainTest, AStateThatIsNotSerialPassesOnWhatItGot) {
  Make();
  service_ = std::make_unique<ScriptedCounter>([&](auto* call, auto*, auto*) {
    return instances_->Bind<std::string>(
        call, [call](std::string&, InstanceContext&, const CallChain& chain) {
          grpc::ClientContext out;
          PassOnCallChain(*call, out);
          AddCallChain(CallChain(), out);  // Adds nothing.
          return grpc::Status(grpc::StatusCode::ABORTED, chain.header());
        });
  });
  const auto serving = Serve(*service_);
  CallChain chain;
  chain.Add(CallChain::NewLink());
  const auto call = NewCall("room");
  AddCallChain(chain, call->context());
  EXPECT_EQ(call->Run(1).error_message(), chain.header());
}

TEST_F(CallChainTest, WithoutTheChainItWaitsUntilTheAccessTimeout) {
  passes_on_ = false;
  Make();
  const auto serving = ServeCountdown<Account>();
  const auto call = NewCall("room");
  call->Begin(2);
  AdvanceUntilDone(*call, absl::Seconds(1));
  EXPECT_EQ(call->Await().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(call->status().error_message(), HasSubstr("access timeout"));
}

TEST_F(CallChainTest, ASerialStateThatIsNotReentrantLetsNobodyIn) {
  Make();
  const auto serving = ServeCountdown<Strict>();
  const auto call = NewCall("room");
  call->Begin(2);
  AdvanceUntilDone(*call, absl::Seconds(1));
  EXPECT_EQ(call->Await().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(CallChainTest, WhatCallsItselfWithoutEndIsToldSo) {
  Make();
  const auto serving = ServeCountdown<Account>();
  const auto call = NewCall("room");
  const grpc::Status& status = call->Run(100);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("a chain of 16 calls"));
  EXPECT_EQ(Add("room", 2), 3);  // Nothing was added, and nothing is held.
}

TEST_F(CallChainTest, AMalformedChainIsRefused) {
  Make();
  const auto serving = ServeCountdown<Account>();
  for (const bool twice : {false, true}) {
    const auto call = NewCall("room");
    CallChain chain;
    chain.Add(CallChain::NewLink());
    call->context().AddMetadata("instance-call-chain",
                                twice ? chain.header() : "let me in");
    if (twice) AddCallChain(chain, call->context());
    EXPECT_EQ(call->Run(1).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(call->status().error_message(),
                HasSubstr("instance-call-chain"));
  }
}

TEST_F(CallChainTest, AStrangerWaitsForTheWholeChain) {
  Make();
  Latch inside, go;
  service_ = std::make_unique<ScriptedCounter>(
      [&](auto* call, auto* request, auto* reply) {
        return instances_->Bind<Account>(
            call,
            [&, request, reply](Account& state, const PendingAnswer& answer) {
              if (request->amount() != 10) {
                reply->set_value(state.Add(request->amount()));
                return answer(grpc::Status::OK);
              }
              Spawn([&, reply, answer] {
                inside.Open();
                go.Await();
                leasehold::Call inner(Channel(), "room");
                AddCallChain(answer.chain(), inner.context());
                EXPECT_TRUE(inner.Run(1).ok());
                reply->set_value(state.Add(10));
                answer(grpc::Status::OK);
              });
            },
            "Add");
      });
  const auto serving = Serve(*service_);
  const auto outer = NewCall("room");
  outer->Begin(10);
  inside.Await();
  const auto stranger = NewCall("room");
  stranger->Begin(100);
  go.Open();
  EXPECT_TRUE(outer->Await().ok());
  EXPECT_EQ(outer->value(), 11);
  EXPECT_TRUE(stranger->Await().ok());
  EXPECT_EQ(stranger->value(), 111);
}

}  // namespace
}  // namespace leasehold
