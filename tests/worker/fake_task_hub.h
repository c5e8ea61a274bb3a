// FakeTaskHub: the service that workers connect to, on a loopback port, doing
// what a test says: it hands out work, and keeps what it is told.
//
// Thread-safety: safe.   Lifetime: outlives its workers' calls.
#ifndef LEASEHOLD_TESTS_WORKER_FAKE_TASK_HUB_H_
#define LEASEHOLD_TESTS_WORKER_FAKE_TASK_HUB_H_

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "durabletask/orchestrator_service.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/channel_arguments.h"
#include "grpcpp/support/server_callback.h"

namespace leasehold::worker {

class FakeTaskHub final
    : public TaskHubSidecarService::WithCallbackMethod_GetWorkItems<
          TaskHubSidecarService::Service> {
 public:
  FakeTaskHub() { Serve("127.0.0.1:0"); }
  ~FakeTaskHub() override {
    if (server_ != nullptr) Stop();
  }

  const std::string& address() const { return address_; }
  std::shared_ptr<grpc::Channel> InProcessChannel() {
    return server_->InProcessChannel(grpc::ChannelArguments());
  }

  // Ends it: streams end, calls fail.
  void Stop() {
    EndStream(grpc::Status(grpc::StatusCode::UNAVAILABLE, "over"));
    server_->Shutdown();
    server_ = nullptr;
  }
  // Serves again where it was.
  void Restart() { Serve(address_); }

  // Hands an item to the worker whose stream is open, or will be.
  void Send(WorkItem item) {
    const std::lock_guard<std::mutex> lock(mu_);
    items_.push_back(std::move(item));
    if (stream_ != nullptr) stream_->WriteNextLocked();
  }
  void SendPing() {
    WorkItem item;
    item.mutable_healthping();
    Send(std::move(item));
  }
  // The token of an item is its name.
  void SendActivity(const std::string& name, const std::string& token) {
    WorkItem item;
    item.mutable_activityrequest()->set_name(name);
    item.set_completiontoken(token);
    Send(std::move(item));
  }
  // The first turn of an orchestration of this name.
  void SendTurn(const std::string& name, const std::string& token) {
    WorkItem item;
    OrchestratorRequest& request = *item.mutable_orchestratorrequest();
    request.set_instanceid(token);
    request.add_newevents()->mutable_orchestratorstarted();
    request.add_newevents()->mutable_executionstarted()->set_name(name);
    item.set_completiontoken(token);
    Send(std::move(item));
  }
  // A call of the operation on the entity of this ID.
  void SendBatch(const std::string& id, const std::string& operation,
                 const std::string& token) {
    WorkItem item;
    EntityRequest& request = *item.mutable_entityrequestv2();
    request.set_instanceid(id);
    request.mutable_entitystate()->set_value("1");
    request.add_operationrequests()
        ->mutable_entityoperationcalled()
        ->set_operation(operation);
    item.set_completiontoken(token);
    Send(std::move(item));
  }
  // Ends the open stream, if there is one.
  void EndStream(const grpc::Status& status) {
    const std::lock_guard<std::mutex> lock(mu_);
    EndStreamLocked(status);
  }
  // The next calls that complete something get these, one each; then OK.
  void FailNext(std::vector<grpc::Status> statuses) {
    const std::lock_guard<std::mutex> lock(mu_);
    for (auto& status : statuses) failures_.push_back(std::move(status));
  }

  // Each blocks until there is one that has not been given yet.
  ActivityResponse AwaitActivity() { return Await(activities_); }
  OrchestratorResponse AwaitTurn() { return Await(turns_); }
  EntityBatchResult AwaitBatch() { return Await(batches_); }
  // The token of an item that was given back.
  std::string AwaitAbandoned() { return Await(abandoned_); }
  // The request of a stream that was opened.
  GetWorkItemsRequest AwaitStream() { return Await(opened_); }
  // Blocks until no stream is open.
  void AwaitNoStream() {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [this] { return stream_ == nullptr; });
  }

 private:
  // Deletes itself when it is done.
  class Stream final : public grpc::ServerWriteReactor<WorkItem> {
   public:
    explicit Stream(FakeTaskHub& hub) : hub_(hub) {}

    void WriteNextLocked() {
      if (writing_ || hub_.items_.empty()) return;
      writing_ = true;
      item_ = std::move(hub_.items_.front());
      hub_.items_.pop_front();
      StartWrite(&item_);
    }
    void OnWriteDone(bool ok) override {
      const std::lock_guard<std::mutex> lock(hub_.mu_);
      writing_ = false;
      if (ok && hub_.stream_ == this) WriteNextLocked();
    }
    void OnCancel() override {
      const std::lock_guard<std::mutex> lock(hub_.mu_);
      if (hub_.stream_ == this) hub_.EndStreamLocked(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    FakeTaskHub& hub_;
    WorkItem item_;
    bool writing_ = false;
  };

  void EndStreamLocked(const grpc::Status& status) {
    if (stream_ == nullptr) return;
    stream_->Finish(status);
    stream_ = nullptr;
    changed_.notify_all();
  }
  template <typename T>
  T Await(std::deque<T>& from) {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [&from] { return !from.empty(); });
    T first = std::move(from.front());
    from.pop_front();
    return first;
  }
  template <typename T>
  void Put(T value, std::deque<T>& to) {
    const std::lock_guard<std::mutex> lock(mu_);
    to.push_back(std::move(value));
    changed_.notify_all();
  }
  grpc::Status NextStatus() {
    const std::lock_guard<std::mutex> lock(mu_);
    if (failures_.empty()) return grpc::Status::OK;
    grpc::Status status = failures_.front();
    failures_.pop_front();
    return status;
  }

  void Serve(const std::string& address) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }

  grpc::ServerWriteReactor<WorkItem>* GetWorkItems(
      grpc::CallbackServerContext*,
      const GetWorkItemsRequest* request) override {
    auto* const stream = new Stream(*this);
    const std::lock_guard<std::mutex> lock(mu_);
    opened_.push_back(*request);
    stream_ = stream;
    stream->WriteNextLocked();
    changed_.notify_all();
    return stream;
  }
  grpc::Status CompleteActivityTask(grpc::ServerContext*,
                                    const ActivityResponse* request,
                                    CompleteTaskResponse*) override {
    grpc::Status status = NextStatus();
    Put(*request, activities_);
    return status;
  }
  grpc::Status CompleteOrchestratorTask(grpc::ServerContext*,
                                        const OrchestratorResponse* request,
                                        CompleteTaskResponse*) override {
    grpc::Status status = NextStatus();
    Put(*request, turns_);
    return status;
  }
  grpc::Status CompleteEntityTask(grpc::ServerContext*,
                                  const EntityBatchResult* request,
                                  CompleteTaskResponse*) override {
    grpc::Status status = NextStatus();
    Put(*request, batches_);
    return status;
  }
  grpc::Status AbandonTaskActivityWorkItem(
      grpc::ServerContext*, const AbandonActivityTaskRequest* request,
      AbandonActivityTaskResponse*) override {
    Put(request->completiontoken(), abandoned_);
    return grpc::Status::OK;
  }
  grpc::Status AbandonTaskOrchestratorWorkItem(
      grpc::ServerContext*, const AbandonOrchestrationTaskRequest* request,
      AbandonOrchestrationTaskResponse*) override {
    Put(request->completiontoken(), abandoned_);
    return grpc::Status::OK;
  }
  grpc::Status AbandonTaskEntityWorkItem(
      grpc::ServerContext*, const AbandonEntityTaskRequest* request,
      AbandonEntityTaskResponse*) override {
    Put(request->completiontoken(), abandoned_);
    return grpc::Status::OK;
  }

  std::unique_ptr<grpc::Server> server_;
  std::string address_;

  std::mutex mu_;
  std::condition_variable changed_;
  std::deque<WorkItem> items_;
  std::deque<grpc::Status> failures_;
  std::deque<ActivityResponse> activities_;
  std::deque<OrchestratorResponse> turns_;
  std::deque<EntityBatchResult> batches_;
  std::deque<std::string> abandoned_;
  std::deque<GetWorkItemsRequest> opened_;
  Stream* stream_ = nullptr;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_TESTS_WORKER_FAKE_TASK_HUB_H_
