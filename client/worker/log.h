// LogSink: where a worker writes its log lines.
//
// Thread-safety: several threads call a sink at once.   Lifetime: everything
// that it refers to outlives the worker.
#ifndef LEASEHOLD_CLIENT_WORKER_LOG_H_
#define LEASEHOLD_CLIENT_WORKER_LOG_H_

#include <functional>
#include <string>

namespace leasehold::worker {

struct LogLine {
  // Whom the line is about. Empty: the worker itself.
  std::string instance_id;
  // UTF-8; other bytes have become U+FFFD.
  std::string message;
};

using LogSink = std::function<void(const LogLine&)>;

// Writes a line to standard error.
void LogToStandardError(const LogLine& line);

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_LOG_H_
