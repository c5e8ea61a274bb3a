// bench_bare_echo: the same Echo without any of Leasehold: no header is read or
// written, nothing is shared. What a call costs here is gRPC's share.
//
//   bench_bare_echo ADDRESS [--tuned]
//
// One completion queue, one thread, a state machine a call. Says "address=…"
// and serves until SIGTERM.
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "leasehold/v1/echo.grpc.pb.h"

namespace {

using leasehold::v1::Echo;
using leasehold::v1::EchoRequest;
using leasehold::v1::EchoResponse;

class Event {
 public:
  virtual ~Event() = default;
  // Its operation is done; `ok` as the queue gave it.
  virtual void Run(bool ok) = 0;
};

class UnaryCall final : public Event {
 public:
  UnaryCall(Echo::AsyncService& service, grpc::ServerCompletionQueue& queue)
      : service_(service), queue_(queue), writer_(&context_) {
    service_.RequestEcho(&context_, &request_, &writer_, &queue_, &queue_,
                         this);
  }

  void Run(bool ok) override {
    if (!ok || answered_) {
      delete this;
      return;
    }
    new UnaryCall(service_, queue_);
    answered_ = true;
    EchoResponse response;
    response.set_text(request_.text());
    writer_.Finish(response, grpc::Status::OK, this);
  }

 private:
  Echo::AsyncService& service_;
  grpc::ServerCompletionQueue& queue_;
  grpc::ServerContext context_;
  EchoRequest request_;
  grpc::ServerAsyncResponseWriter<EchoResponse> writer_;
  bool answered_ = false;
};

class StreamCall final : public Event {
 public:
  StreamCall(Echo::AsyncService& service, grpc::ServerCompletionQueue& queue)
      : service_(service), queue_(queue), stream_(&context_) {
    service_.RequestEchoStream(&context_, &stream_, &queue_, &queue_, this);
  }

  void Run(bool ok) override {
    switch (next_) {
      case Next::kAccept:
        if (!ok) break;
        new StreamCall(service_, queue_);
        next_ = Next::kRead;
        stream_.Read(&request_, this);
        return;
      case Next::kRead:
        if (!ok) {
          next_ = Next::kEnd;
          stream_.Finish(grpc::Status::OK, this);
          return;
        }
        next_ = Next::kWritten;
        response_.set_text(request_.text());
        stream_.Write(response_, this);
        return;
      case Next::kWritten:
        next_ = Next::kRead;
        stream_.Read(&request_, this);
        return;
      case Next::kEnd:
        break;
    }
    delete this;
  }

 private:
  enum class Next { kAccept, kRead, kWritten, kEnd };

  Echo::AsyncService& service_;
  grpc::ServerCompletionQueue& queue_;
  grpc::ServerContext context_;
  EchoRequest request_;
  EchoResponse response_;
  grpc::ServerAsyncReaderWriter<EchoResponse, EchoRequest> stream_;
  Next next_ = Next::kAccept;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_bare_echo ADDRESS [--tuned]\n");
    return 2;
  }
  if (argc > 2 && std::strcmp(argv[2], "--tuned") == 0) {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Echo::AsyncService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto queue = builder.AddCompletionQueue();
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  for (int i = 0; i < 128; ++i) new UnaryCall(service, *queue);
  for (int i = 0; i < 16; ++i) new StreamCall(service, *queue);
  std::thread thread([&queue] {
    void* tag;
    bool ok;
    while (queue->Next(&tag, &ok)) static_cast<Event*>(tag)->Run(ok);
  });

  const std::string address = argv[1];
  std::printf("address=%s%s\n",
              address.substr(0, address.rfind(':') + 1).c_str(),
              address.rfind("unix:", 0) == 0 ? address.substr(5).c_str()
                                             : std::to_string(port).c_str());
  std::fflush(stdout);
  int signal;
  sigwait(&signals, &signal);
  server->Shutdown();
  queue->Shutdown();
  thread.join();
  return 0;
}
