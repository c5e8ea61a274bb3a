// One counter per shared instance, beside Leasehold's own Echo in one server.
//
//   counter [ADDRESS]      default 127.0.0.1:50051; ends at SIGTERM or SIGINT
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>

#include "absl/time/time.h"
#include "counter.grpc.pb.h"
#include "leasehold/service/embed/instances.h"

namespace {

// The state of an instance: any class. Many calls may use it at once.
class Counter {
 public:
  int64_t Add(int64_t amount) { return value_ += amount; }

 private:
  std::atomic<int64_t> value_ = 0;
};

class CounterService final : public counter::v1::Counter::CallbackService {
 public:
  explicit CounterService(leasehold::Instances& instances)
      : instances_(instances) {}

  grpc::ServerUnaryReactor* Add(grpc::CallbackServerContext* call,
                                const counter::v1::AddRequest* request,
                                counter::v1::AddReply* reply) override {
    return instances_.Bind<Counter>(call, [=](Counter& counter) {
      reply->set_value(counter.Add(request->amount()));
      return grpc::Status::OK;
    });
  }

 private:
  leasehold::Instances& instances_;
};

}  // namespace

int main(int argc, char** argv) {
  sigset_t signals;  // Blocked in all threads started below.
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  leasehold::Instances instances;
  CounterService service(instances);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(argc > 1 ? argv[1] : "127.0.0.1:50051",
                           grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  instances.RegisterEcho(builder);
  instances.RegisterInstances(builder);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  instances.Start();
  std::printf("port=%d\n", port);
  std::fflush(stdout);

  int signal = 0;
  sigwait(&signals, &signal);
  instances.Shutdown(*server, absl::Seconds(5));
  return 0;
}
