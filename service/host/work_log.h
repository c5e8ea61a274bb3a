// WorkLog: the engine's events of work and workers, as lines of the log and of
// the console.
//
//   WARNING work_lost tenant=default instance_id=a name=Resize task_id=3
//     worker=7 peer=ipv4:127.0.0.1:40112 count=2 reason="its stream ended"
//
// A worker that connects, answers nonsense and disappears, thousands of times,
// must not fill the disk, nor hide what happens to others. So the lines of each
// span of time are limited, for one worker's address and for all together;
// beyond the limit they are counted, and a line says how many there were. A
// worker behind a trusted proxy has its own address, not the proxy's. Failed
// orchestrations of one tenant are limited like lines of one address. Lines for
// debugging have no limit.
//
// Thread-safety: safe.   Lifetime: everything that the constructor takes
// outlives it.
#ifndef LEASEHOLD_SERVICE_HOST_WORK_LOG_H_
#define LEASEHOLD_SERVICE_HOST_WORK_LOG_H_

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/host/console.h"
#include "service/host/server_log.h"
#include "service/network/caller_addresses.h"
#include "service/orchestration/engine_observer.h"

namespace leasehold {

class WorkLog {
 public:
  static constexpr absl::Duration kSpan = absl::Seconds(10);
  // Lines that are written in that time: in all, and of one causer (an address
  // or a tenant).
  static constexpr uint64_t kLinesMax = 200;
  static constexpr uint64_t kLinesOfOneMax = 50;

  // `console` may be null.
  WorkLog(const Clock& clock, ServerLog& log, Console* console,
          const CallerAddresses& callers)
      : clock_(clock), log_(log), console_(console), callers_(callers) {}

  void Write(const WorkEvent& event) ABSL_LOCKS_EXCLUDED(mu_);
  // Logs how many lines were left out. Call it at the end.
  void Flush() ABSL_LOCKS_EXCLUDED(mu_);
  // Whether starts and ends of orchestrations are written.
  bool WritesLives() const { return log_.Logs(LogLevel::kDebug); }

 private:
  // Whether to write a line of this causer now; `left_out`: how many lines of
  // the span before were left out.
  bool Admit(const std::string& causer, uint64_t& left_out)
      ABSL_LOCKS_EXCLUDED(mu_);
  void TellLeftOut(uint64_t left_out);

  // Constant after construction.
  const Clock& clock_;
  ServerLog& log_;
  Console* const console_;
  const CallerAddresses& callers_;

  Mutex mu_;
  Instant span_ends_ ABSL_GUARDED_BY(mu_);
  uint64_t lines_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t left_out_ ABSL_GUARDED_BY(mu_) = 0;
  // At most as many as there are lines.
  absl::flat_hash_map<std::string, uint64_t> of_one_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_WORK_LOG_H_
