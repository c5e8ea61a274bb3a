// FakeOrchestrationServer: the service Orchestration on a loopback port, of
// which a test says what is known and what happens; nothing runs by itself.
//
// What calls asked for is recorded, and a test can have the next one fail.
//
// Thread-safety: safe.   Lifetime: outlives its clients' calls.
#ifndef LEASEHOLD_TESTS_CLIENT_FAKE_ORCHESTRATION_SERVER_H_
#define LEASEHOLD_TESTS_CLIENT_FAKE_ORCHESTRATION_SERVER_H_

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "grpcpp/server.h"
#include "leasehold/v1/orchestration.grpc.pb.h"

namespace leasehold::client {

class FakeOrchestrationServer final
    : public leasehold::v1::Orchestration::Service {
 public:
  using State = leasehold::v1::OrchestrationState;
  using Event = leasehold::v1::OrchestrationEvent;

  FakeOrchestrationServer();
  ~FakeOrchestrationServer() override;

  // HOST:PORT.
  const std::string& address() const { return address_; }

  // From now on this is known. Those who wait and watch are told.
  void Put(State state);
  // One of `id` that runs `name`, with this status.
  static State StateOf(const std::string& id, State::Status status,
                       const std::string& name = "Greet");
  std::optional<State> Find(const std::string& id) const;
  // What GetHistory tells of an ID.
  void PutHistory(const std::string& id, std::vector<Event> events);
  // The next call ends with `status`.
  void FailNext(grpc::Status status);
  // The next PurgeMany erases only so many.
  void HurryNextPurge(int64_t most);
  // Receipts come with URLs.
  void ServeUrls();
  // Ends the watches that are open; blocks until there are so many.
  void EndWatches(grpc::Status status);
  void AwaitWatches(size_t count);
  // Whether the last watch has a deadline.
  bool WatchHasDeadline() const;

  // What the calls of one kind asked for.
  template <typename Request>
  std::vector<Request> Asked() const {
    std::vector<Request> asked;
    std::lock_guard<std::mutex> lock(mu_);
    for (const auto& request : requests_) {
      if (request->GetDescriptor() == Request::descriptor()) {
        asked.push_back(static_cast<const Request&>(*request));
      }
    }
    return asked;
  }

  grpc::Status Start(grpc::ServerContext*,
                     const leasehold::v1::StartOrchestrationRequest*,
                     leasehold::v1::StartOrchestrationResponse*) override;
  grpc::Status Get(grpc::ServerContext*,
                   const leasehold::v1::GetOrchestrationRequest*,
                   State*) override;
  grpc::Status WaitForStart(grpc::ServerContext*,
                            const leasehold::v1::GetOrchestrationRequest*,
                            State*) override;
  grpc::Status WaitForCompletion(grpc::ServerContext*,
                                 const leasehold::v1::GetOrchestrationRequest*,
                                 State*) override;
  grpc::Status Watch(grpc::ServerContext*,
                     const leasehold::v1::GetOrchestrationRequest*,
                     grpc::ServerWriter<State>*) override;
  grpc::Status RaiseEvent(
      grpc::ServerContext*,
      const leasehold::v1::RaiseOrchestrationEventRequest*,
      leasehold::v1::RaiseOrchestrationEventResponse*) override;
  grpc::Status Suspend(grpc::ServerContext*,
                       const leasehold::v1::SuspendOrchestrationRequest*,
                       leasehold::v1::SuspendOrchestrationResponse*) override;
  grpc::Status Resume(grpc::ServerContext*,
                      const leasehold::v1::ResumeOrchestrationRequest*,
                      leasehold::v1::ResumeOrchestrationResponse*) override;
  grpc::Status Terminate(
      grpc::ServerContext*, const leasehold::v1::TerminateOrchestrationRequest*,
      leasehold::v1::TerminateOrchestrationResponse*) override;
  grpc::Status Restart(grpc::ServerContext*,
                       const leasehold::v1::RestartOrchestrationRequest*,
                       leasehold::v1::StartOrchestrationResponse*) override;
  grpc::Status Purge(grpc::ServerContext*,
                     const leasehold::v1::PurgeOrchestrationRequest*,
                     leasehold::v1::PurgeOrchestrationResponse*) override;
  grpc::Status PurgeMany(grpc::ServerContext*,
                         const leasehold::v1::PurgeOrchestrationsRequest*,
                         leasehold::v1::PurgeOrchestrationsResponse*) override;
  grpc::Status List(grpc::ServerContext*,
                    const leasehold::v1::ListOrchestrationsRequest*,
                    leasehold::v1::ListOrchestrationsResponse*) override;
  grpc::Status Count(grpc::ServerContext*,
                     const leasehold::v1::CountOrchestrationsRequest*,
                     leasehold::v1::CountOrchestrationsResponse*) override;
  grpc::Status GetHistory(grpc::ServerContext*,
                          const leasehold::v1::GetOrchestrationHistoryRequest*,
                          grpc::ServerWriter<Event>*) override;

 private:
  // Records a call. Not OK: it is the one that is to fail.
  grpc::Status Record(const google::protobuf::Message& request);
  // Records a call, and lets `change` change what is known of an ID, if that
  // has not ended.
  grpc::Status Change(const google::protobuf::Message& request,
                      const std::string& id,
                      const std::function<void(State&)>& change);
  // Answers once it is as wanted.
  grpc::Status AnswerOnce(const leasehold::v1::GetOrchestrationRequest& request,
                          const std::function<bool(State::Status)>& wanted,
                          State& response);
  void Receipt(const std::string& id, bool created,
               leasehold::v1::StartOrchestrationResponse& response) const;

  std::string address_;
  std::unique_ptr<grpc::Server> server_;

  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<google::protobuf::Message>> requests_;
  std::map<std::string, State> states_;
  // How often the state of an ID was put.
  std::map<std::string, int> versions_;
  std::map<std::string, std::vector<Event>> histories_;
  std::optional<grpc::Status> failure_;
  std::optional<int64_t> purge_most_;
  bool urls_ = false;
  size_t watches_ = 0;
  bool watch_has_deadline_ = false;
  std::optional<grpc::Status> watches_end_;
  bool stopping_ = false;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_TESTS_CLIENT_FAKE_ORCHESTRATION_SERVER_H_
