// LineWriter: writes lines to a file descriptor, on a thread of its own.
//
// A reader of standard output or error that stops reading must not stop the
// server. So lines beyond a limit are dropped, and a line says how many.
//
// Thread-safety: safe.   Lifetime: the descriptor is the caller's.
#ifndef LEASEHOLD_SERVICE_HOST_LINE_WRITER_H_
#define LEASEHOLD_SERVICE_HOST_LINE_WRITER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "lease/base/cells.h"
#include "lease/base/mutex.h"

namespace leasehold {

class LineWriter {
 public:
  static constexpr size_t kQueuedBytesMax = 4 << 20;

  // `dropped` makes the line that says how many were dropped; null: in words.
  explicit LineWriter(int fd,
                      std::function<std::string(size_t lines)> dropped = {});
  // Writes the queued lines, unless the reader has stopped reading.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Whether the descriptor has refused something: then nothing is written any
  // more.
  bool failed() const { return failed_.load(std::memory_order_relaxed); }

  // How many lines were ever dropped.
  uint64_t dropped() const { return ever_dropped_.value(); }

  // Queues `line`, which has no line end. Never waits for the reader.
  void Write(const std::string& line) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void TellDroppedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // False: the reader is gone.
  bool WriteOut(const std::string& text) ABSL_LOCKS_EXCLUDED(mu_);
  bool stopping() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const int fd_;
  const std::function<std::string(size_t)> dropped_line_;

  std::atomic<bool> failed_ = false;
  SharedCell ever_dropped_;

  Mutex mu_;
  CondVar wake_;
  std::string queued_ ABSL_GUARDED_BY(mu_);
  size_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_LINE_WRITER_H_
