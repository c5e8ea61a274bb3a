// LogSink: where a worker says what it has to say.
//
// Thread-safety: a sink is called by several threads at once.   Lifetime: what
// it refers to outlives the worker.
#ifndef LEASEHOLD_CLIENT_WORKER_LOG_H_
#define LEASEHOLD_CLIENT_WORKER_LOG_H_

#include <functional>
#include <string>

namespace leasehold::worker {

struct LogLine {
  // Who speaks. Empty: the worker itself.
  std::string instance_id;
  std::string message;
};

using LogSink = std::function<void(const LogLine&)>;

// A line on standard error.
void LogToStandardError(const LogLine& line);

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_LOG_H_
