// TaskHub: the real server with its orchestrations in memory, in this process,
// on a clock that a test moves.
//
// Thread-safety: one thread, but for what the server does.   Lifetime: outlives
// its workers.
#ifndef LEASEHOLD_TESTS_WORKER_TASK_HUB_H_
#define LEASEHOLD_TESTS_WORKER_TASK_HUB_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "client/wire/channel.h"
#include "durabletask/orchestrator_service.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "service/host/line_writer.h"
#include "service/host/listen_address.h"
#include "service/host/orchestration_host.h"
#include "service/host/server_host.h"
#include "service/host/server_log.h"
#include "service/host/server_options.h"
#include "tests/support/simulated_clock.h"

namespace leasehold::worker {

class TaskHub {
 public:
  TaskHub() {
    options_.listen = {{.host = "127.0.0.1", .port = 0, .unix_path = ""}};
    options_.memory_store = true;
    // Time flies here while a worker is at work.
    options_.turn_timeout = absl::ZeroDuration();
    host_ = std::make_unique<ServerHost>(options_, clock_, log_, nullptr);
    orchestrations_ =
        std::make_unique<OrchestrationHost>(options_, clock_, log_, *host_);
    absl::Status status = orchestrations_->Start();
    EXPECT_TRUE(status.ok()) << status;
    status = host_->Start();
    EXPECT_TRUE(status.ok()) << status;
    address_ = host_->addresses().at(0);
    stub_ = TaskHubSidecarService::NewStub(client::OpenChannel(address_));
  }
  ~TaskHub() {
    host_->StopAndDrain();
    host_.reset();
    orchestrations_.reset();
    close(null_);
  }

  const std::string& address() const { return address_; }
  // For a worker inside the process.
  WorkExchange& work() { return orchestrations_->work(); }
  Clock& clock() { return clock_; }

  // `input`: JSON.
  void Start(const std::string& id, const std::string& name,
             const std::optional<std::string>& input = std::nullopt) {
    CreateInstanceRequest request;
    request.set_instanceid(id);
    request.set_name(name);
    if (input.has_value()) request.mutable_input()->set_value(*input);
    CreateInstanceResponse response;
    Call(&TaskHubSidecarService::Stub::StartInstance, request, response);
  }
  void Raise(const std::string& id, const std::string& name,
             const std::string& data) {
    RaiseEventRequest request;
    request.set_instanceid(id);
    request.set_name(name);
    request.mutable_input()->set_value(data);
    RaiseEventResponse response;
    Call(&TaskHubSidecarService::Stub::RaiseEvent, request, response);
  }
  void Suspend(const std::string& id) {
    SuspendRequest request;
    request.set_instanceid(id);
    SuspendResponse response;
    Call(&TaskHubSidecarService::Stub::SuspendInstance, request, response);
  }
  void Resume(const std::string& id) {
    ResumeRequest request;
    request.set_instanceid(id);
    ResumeResponse response;
    Call(&TaskHubSidecarService::Stub::ResumeInstance, request, response);
  }
  void Terminate(const std::string& id, const std::string& output) {
    TerminateRequest request;
    request.set_instanceid(id);
    request.mutable_output()->set_value(output);
    TerminateResponse response;
    Call(&TaskHubSidecarService::Stub::TerminateInstance, request, response);
  }

  OrchestrationState Get(const std::string& id) {
    return Ask(id, &TaskHubSidecarService::Stub::GetInstance);
  }
  OrchestrationState AwaitStart(const std::string& id) {
    return Ask(id, &TaskHubSidecarService::Stub::WaitForInstanceStart);
  }
  OrchestrationState Await(const std::string& id) {
    return Ask(id, &TaskHubSidecarService::Stub::WaitForInstanceCompletion);
  }
  // The same, and meanwhile time passes.
  OrchestrationState AwaitWhileTimePasses(const std::string& id) {
    OrchestrationState state;
    std::atomic<bool> ended = false;
    std::thread waiting([&] {
      state = Await(id);
      ended = true;
    });
    while (!ended) {
      clock_.Advance(absl::Seconds(1));
      std::this_thread::yield();
    }
    waiting.join();
    return state;
  }

 private:
  using Stub = TaskHubSidecarService::Stub;

  template <typename Request, typename Response>
  void Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                         Response*),
            const Request& request, Response& response) {
    grpc::ClientContext context;
    const grpc::Status status =
        ((*stub_).*method)(&context, request, &response);
    EXPECT_TRUE(status.ok())
        << status.error_code() << ": " << status.error_message();
  }
  OrchestrationState Ask(const std::string& id,
                         grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                      const GetInstanceRequest&,
                                                      GetInstanceResponse*)) {
    GetInstanceRequest request;
    request.set_instanceid(id);
    request.set_getinputsandoutputs(true);
    GetInstanceResponse response;
    Call(method, request, response);
    EXPECT_TRUE(response.exists());
    return response.orchestrationstate();
  }

  SimulatedClock clock_;
  const int null_ = open("/dev/null", O_WRONLY | O_CLOEXEC);
  LineWriter writer_{null_};
  ServerLog log_{clock_, writer_, LogFormat::kText};
  ServerOptions options_;
  std::unique_ptr<ServerHost> host_;
  std::unique_ptr<OrchestrationHost> orchestrations_;
  std::string address_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace leasehold::worker

#endif  // LEASEHOLD_TESTS_WORKER_TASK_HUB_H_
