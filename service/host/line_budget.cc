#include "service/host/line_budget.h"

#include <utility>

namespace leasehold {

bool LineBudget::Admit(uint64_t& left_out) {
  left_out = 0;
  const Instant now = clock_.Now();
  MutexLock lock(mu_);
  if (now >= span_ends_) {
    span_ends_ = now + span_;
    lines_ = 0;
    left_out = std::exchange(left_out_, 0);
  }
  if (lines_ >= lines_max_) {
    ++left_out_;
    return false;
  }
  ++lines_;
  return true;
}

}  // namespace leasehold
