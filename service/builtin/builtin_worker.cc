#include "service/builtin/builtin_worker.h"

#include <utility>

#include "service/builtin/counter.h"
#include "service/builtin/echo_sequence.h"

namespace leasehold {
namespace {

// Turns and echoes take microseconds: whatever runs longer is not worth a wait.
constexpr absl::Duration kStopTimeout = absl::Seconds(1);

}  // namespace

BuiltinWorker::BuiltinWorker(std::shared_ptr<grpc::Channel> channel,
                             worker::LogSink log)
    : worker_(channel, {.only_registered = true, .log = std::move(log)}) {
  worker_.AddOrchestrator("Counter", &builtin::Counter);
  worker_.AddOrchestrator("EchoSequence", &builtin::EchoSequence);
  worker_.AddOrchestrator("FanOutEcho", &builtin::FanOutEcho);
  worker_.AddOrchestrator("Ping", &builtin::Ping);
  worker_.AddActivity("Echo", builtin::EchoActivity(std::move(channel)));
}

void BuiltinWorker::Stop() { worker_.Stop(kStopTimeout).IgnoreError(); }

}  // namespace leasehold
