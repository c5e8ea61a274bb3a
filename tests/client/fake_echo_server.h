// FakeEchoServer: a server on a loopback port that keeps the header contract,
// and of the services Echo, Hold, Get and KeepAlive only as much as clients
// need.
//
// Leases do not run out by themselves: a test says Expire. What a call brought
// along is recorded, and a test can have the next calls fail or wait, and can
// end the streams that are open.
//
// Thread-safety: safe.   Lifetime: outlives its clients' calls.
#ifndef LEASEHOLD_TESTS_CLIENT_FAKE_ECHO_SERVER_H_
#define LEASEHOLD_TESTS_CLIENT_FAKE_ECHO_SERVER_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/session/shared_session.h"
#include "grpcpp/server.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "leasehold/v1/instances.grpc.pb.h"

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

  // A session with so many channels to this server, connected: gRPC 1.51 reads
  // errno late after connect(2), so that now and then, on a busy machine, a
  // first attempt fails for nothing.
  std::unique_ptr<SharedSession> Connect(int channels,
                                         SharedSessionOptions options) const;

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

  // From now on Get tells nothing of holds.
  void ForgetHolds();
  // Holds are not answered, until Release.
  void StallHolds();
  // The next Hold, or each from now on, ends with `status`.
  void FailNextHold(grpc::Status status);
  void FailHolds(grpc::Status status);
  // Holds are answered again.
  void MendHolds();
  // Ends the streams of a kind that are open.
  void EndHolds(const grpc::Status& status);
  void EndKeepAlives(const grpc::Status& status);
  // Blocks until so many holds are open; until so many have come, ever; until
  // so many leases have been renewed, ever; until so many streams renew.
  void AwaitHolds(size_t count);
  void AwaitHoldCalls(size_t count);
  void AwaitRenewals(size_t count);
  void AwaitKeepAlives(size_t count);
  // The next Join tells `events`, then ends with `status`. A Join for which
  // nothing was said is ABORTED.
  void OnNextJoin(std::vector<leasehold::v1::JoinResponse> events,
                  grpc::Status status);
  // What Joins asked for.
  std::vector<leasehold::v1::JoinRequest> joins() const;

  std::vector<Call> hold_calls() const;
  std::vector<Call> calls() const;
  // How many instances were created.
  int created() const;

  grpc::Status Echo(grpc::ServerContext* context,
                    const leasehold::v1::EchoRequest* request,
                    leasehold::v1::EchoResponse* response) override;
  grpc::Status Join(
      grpc::ServerContext* context, const leasehold::v1::JoinRequest* request,
      grpc::ServerWriter<leasehold::v1::JoinResponse>* writer) override;

 private:
  struct Instance {
    uint64_t generation = 0;
    uint64_t sequence = 0;
    int64_t idle_timeout_ms = 0;
  };
  class Instances;
  class HoldCall;
  class KeepAliveCall;

  static Call ReadCall(const grpc::ServerContextBase& context);
  // The instance that a call names, found or made; or why not. The context gets
  // the response's metadata.
  struct Found {
    std::string id;
    bool created = false;
  };
  std::variant<Found, grpc::Status> FindOrMake(
      const Call& call, grpc::ServerContextBase& context);
  // Fills in what is known of an instance. REQUIRES: mu_ is held.
  void Describe(const std::string& id, leasehold::v1::Instance& instance);

  std::string address_;
  std::unique_ptr<Instances> instances_service_;
  std::unique_ptr<grpc::Server> server_;

  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::map<std::string, Instance> instances_;
  std::vector<Call> calls_;
  std::optional<grpc::Status> failure_;
  std::optional<uint64_t> claim_;
  bool held_ = false;
  std::vector<Call> hold_calls_;
  std::set<HoldCall*> holds_;
  std::set<KeepAliveCall*> keep_alives_;
  size_t renewals_ = 0;
  std::optional<grpc::Status> hold_failure_;
  bool hold_failure_lasts_ = false;
  bool stalled_ = false;
  bool forgetful_ = false;
  std::deque<std::pair<std::vector<leasehold::v1::JoinResponse>, grpc::Status>>
      join_scripts_;
  std::vector<leasehold::v1::JoinRequest> joins_;
  bool ignore_ids_ = false;
  int created_ = 0;
  uint64_t last_generation_ = 1000;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_TESTS_CLIENT_FAKE_ECHO_SERVER_H_
