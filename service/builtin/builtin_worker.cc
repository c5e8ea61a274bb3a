#include "service/builtin/builtin_worker.h"

#include <utility>

#include "service/builtin/counter.h"
#include "service/builtin/echo_sequence.h"

namespace leasehold {
namespace {

// Turns and echoes take microseconds: whatever runs longer is not worth a wait.
constexpr absl::Duration kStopTimeout = absl::Seconds(1);

worker::WorkerOptions Options(worker::LogSink log) {
  worker::WorkerOptions options;
  options.only_registered = true;
  options.log = std::move(log);
  return options;
}

}  // namespace

BuiltinWorker::BuiltinWorker(std::shared_ptr<grpc::Channel> channel,
                             worker::LogSink log)
    : worker_(channel, Options(std::move(log))) {
  worker_.AddOrchestrator("Counter", &builtin::Counter);
  worker_.AddOrchestrator("EchoSequence", &builtin::EchoSequence);
  worker_.AddOrchestrator("FanOutEcho", &builtin::FanOutEcho);
  worker_.AddOrchestrator("Ping", &builtin::Ping);
  worker_.AddActivity("Echo", builtin::EchoActivity(std::move(channel)));
}

void BuiltinWorker::Stop() { worker_.Stop(kStopTimeout).IgnoreError(); }

}  // namespace leasehold
