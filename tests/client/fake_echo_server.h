// FakeEchoServer: an Echo server on a loopback port that keeps the header
// contract and nothing else.
//
// Leases do not run out by themselves: a test says Expire. What a call brought
// along is recorded, and a test can have the next calls fail or wait.
//
// Thread-safety: safe.   Lifetime: outlives its clients' calls.
#ifndef LEASEHOLD_TESTS_CLIENT_FAKE_ECHO_SERVER_H_
#define LEASEHOLD_TESTS_CLIENT_FAKE_ECHO_SERVER_H_

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "grpcpp/server.h"
#include "leasehold/v1/echo.grpc.pb.h"

namespace leasehold::client {

class FakeEchoServer final : public leasehold::v1::Echo::Service {
 public:
  // What a call brought along.
  struct Call {
    std::string peer;
    std::multimap<std::string, std::string> metadata;

    // The value of a key that was sent once; empty: not, or more than once.
    std::optional<std::string> Header(const std::string& key) const;
  };

  FakeEchoServer();
  ~FakeEchoServer() override;

  // HOST:PORT.
  const std::string& address() const { return address_; }

  // Ends every lease: the next call of an ID meets a new generation.
  void ExpireAll();
  // The next call ends with `status` before it meets an instance.
  void FailNext(grpc::Status status);
  // The next answer says `sequence`, whatever the truth.
  void ClaimNext(uint64_t sequence);
  // From now on IDs are not read: each call gets an instance of its own.
  void IgnoreIds();
  // Calls wait once they have arrived, until Release.
  void Hold();
  void Release();
  // Blocks until `count` calls have arrived.
  void AwaitCalls(size_t count);

  std::vector<Call> calls() const;
  // How many instances were created.
  int created() const;

  grpc::Status Echo(grpc::ServerContext* context,
                    const leasehold::v1::EchoRequest* request,
                    leasehold::v1::EchoResponse* response) override;

 private:
  struct Instance {
    uint64_t generation = 0;
    uint64_t sequence = 0;
  };

  std::string address_;
  std::unique_ptr<grpc::Server> server_;

  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::map<std::string, Instance> instances_;
  std::vector<Call> calls_;
  std::optional<grpc::Status> failure_;
  std::optional<uint64_t> claim_;
  bool held_ = false;
  bool ignore_ids_ = false;
  int created_ = 0;
  uint64_t last_generation_ = 1000;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_TESTS_CLIENT_FAKE_ECHO_SERVER_H_
