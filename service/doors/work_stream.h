// WorkStream: a worker's open stream, the queue between the exchange and the
// wire.
//
// Thread-safety: safe.   Lifetime: shared by the exchange and the call's
// handler; the exchange outlives it.
#ifndef LEASEHOLD_SERVICE_DOORS_WORK_STREAM_H_
#define LEASEHOLD_SERVICE_DOORS_WORK_STREAM_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "durabletask/orchestrator_service.pb.h"
#include "lease/base/mutex.h"
#include "service/orchestration/work_exchange.h"
#include "service/rpc/stream_call.h"

namespace leasehold {

class WorkStream final : public WorkSink {
 public:
  WorkStream(WorkExchange& work, std::shared_ptr<StreamControl> control)
      : work_(work), control_(std::move(control)) {}

  void Announce(size_t bytes) override { untaken_ += bytes; }
  size_t untaken() const override { return untaken_; }

  void Send(std::string item) override {
    {
      MutexLock lock(mu_);
      items_.push_back(std::move(item));
      silent_ = false;
    }
    control_->Notify();
  }

  // Sends a ping if nothing was sent since the last call.
  void PingIfSilent() {
    {
      MutexLock lock(mu_);
      if (!std::exchange(silent_, true)) return;
    }
    Ping();
  }
  void Ping() {
    ::WorkItem ping;
    ping.mutable_healthping();
    std::string item = ping.SerializeAsString();
    Announce(item.size());
    Send(std::move(item));
  }

  // The client has read an item.
  void OnTaken(size_t bytes) {
    const size_t before = untaken_.fetch_sub(bytes);
    if (before > WorkSink::kUntakenBytesMax &&
        before - bytes <= WorkSink::kUntakenBytesMax) {
      work_.OnWorkTaken();
    }
  }

  std::deque<std::string> Take() {
    MutexLock lock(mu_);
    return std::exchange(items_, {});
  }

 private:
  WorkExchange& work_;
  const std::shared_ptr<StreamControl> control_;
  std::atomic<size_t> untaken_ = 0;
  Mutex mu_;
  std::deque<std::string> items_ ABSL_GUARDED_BY(mu_);
  bool silent_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_WORK_STREAM_H_
