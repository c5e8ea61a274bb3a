// One chat room per shared instance: a stream that other calls wake.
//
//   chat_room [ADDRESS]    default 127.0.0.1:50052; ends at SIGTERM or SIGINT
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <cstdio>
#include <memory>

#include "absl/time/time.h"
#include "chat_room.grpc.pb.h"
#include "join_reactor.h"
#include "leasehold/service/embed/instances.h"
#include "room.h"

namespace {

class ChatRoomService final : public chat::v1::ChatRoom::CallbackService {
 public:
  explicit ChatRoomService(leasehold::Instances& instances)
      : instances_(instances) {}

  grpc::ServerWriteReactor<chat::v1::Line>* Join(
      grpc::CallbackServerContext* call,
      const chat::v1::JoinRequest*) override {
    return new JoinReactor(instances_, call);
  }

  grpc::ServerUnaryReactor* Say(grpc::CallbackServerContext* call,
                                const chat::v1::SayRequest* request,
                                chat::v1::SayReply* reply) override {
    return instances_.Bind<Room>(call, [=](Room& room) {
      reply->set_listeners(room.Say(request->name(), request->text()));
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
  ChatRoomService service(instances);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(argc > 1 ? argv[1] : "127.0.0.1:50052",
                           grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  instances.RegisterInstances(builder);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  instances.Start();
  std::printf("port=%d\n", port);
  std::fflush(stdout);

  int signal = 0;
  sigwait(&signals, &signal);
  // Removes everyone who is still in a room.
  instances.Shutdown(*server, absl::Seconds(1));
  return 0;
}
