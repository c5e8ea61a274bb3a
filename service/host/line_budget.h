// LineBudget: limits the log lines of one kind in a span of time.
//
// Lines that a stranger can provoke with each packet must not fill the disk. So
// lines beyond the limit are counted, and the next line that is written says
// how many were left out.
//
// Thread-safety: safe.   Lifetime: the clock outlives it.
#ifndef LEASEHOLD_SERVICE_HOST_LINE_BUDGET_H_
#define LEASEHOLD_SERVICE_HOST_LINE_BUDGET_H_

#include <cstdint>

#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"

namespace leasehold {

class LineBudget {
 public:
  LineBudget(const Clock& clock, uint64_t lines, absl::Duration span)
      : clock_(clock), lines_max_(lines), span_(span) {}

  // Whether to write a line now. `left_out`: how many lines were left out since
  // the last report; 0 within a span.
  bool Admit(uint64_t& left_out) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Constant after construction.
  const Clock& clock_;
  const uint64_t lines_max_;
  const absl::Duration span_;

  Mutex mu_;
  Instant span_ends_ ABSL_GUARDED_BY(mu_);
  uint64_t lines_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t left_out_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_LINE_BUDGET_H_
