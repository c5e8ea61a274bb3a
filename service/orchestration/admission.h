// Admission: what the engine accepts at the moment.
//
// - not open, and stopped: nothing.
// - open: all. Draining: no starts and no waits, as they would outlive it.
// - failed, until the store is open again: reads of what is committed.
//
// A store may fail while the engine drains, and open again.
//
// Thread-safety: accepts() is safe; for the rest, callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_ADMISSION_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_ADMISSION_H_

#include <atomic>
#include <utility>

#include "absl/status/status.h"

namespace leasehold {

class Admission {
 public:
  // Each of these is OK, or says why not (Unavailable).
  const absl::Status& serving() const { return serving_; }
  // Committed data can be read even while nothing can be stored.
  const absl::Status& readable() const { return readable_; }
  // For starts and waits.
  const absl::Status& accepting() const { return accepting_; }

  // Whether accepting() is OK, as far as a thread knows that does not
  // synchronise.
  bool accepts() const { return accepts_.load(std::memory_order_relaxed); }
  bool stopped() const { return stopped_; }

  // The store is open. No effect after Stop.
  void Open() {
    if (stopped_) return;
    serving_ = readable_ = absl::OkStatus();
    Update();
  }
  // Nothing can be stored any more. `why` is not OK. No effect after Stop.
  void Fail(absl::Status why) {
    if (stopped_) return;
    serving_ = std::move(why);
    Update();
  }
  void Drain() {
    draining_ = true;
    Update();
  }
  // False: it was stopped before.
  [[nodiscard]] bool Stop() {
    if (std::exchange(stopped_, true)) return false;
    serving_ = readable_ = ShuttingDown();
    Update();
    return true;
  }

 private:
  static absl::Status ShuttingDown() {
    return absl::UnavailableError("the server is shutting down");
  }
  void Update() {
    accepting_ = draining_ ? ShuttingDown() : serving_;
    accepts_.store(accepting_.ok(), std::memory_order_relaxed);
  }

  absl::Status serving_ = absl::UnavailableError("the store is not open yet");
  absl::Status readable_ = serving_;
  absl::Status accepting_ = serving_;
  bool draining_ = false;
  bool stopped_ = false;
  std::atomic<bool> accepts_{false};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_ADMISSION_H_
