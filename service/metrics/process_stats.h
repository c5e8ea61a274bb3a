// ProcessStats: what the kernel says of this process, by the names that
// Prometheus' own clients give it (`process_resident_memory_bytes`, ...).
//
// Thread-safety: safe.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_METRICS_PROCESS_STATS_H_
#define LEASEHOLD_SERVICE_METRICS_PROCESS_STATS_H_

#include <optional>
#include <string_view>

#include "service/metrics/stat_list.h"

namespace leasehold {

struct ProcessNumbers {
  double cpu_seconds = 0;
  double start_seconds = 0;  // Since the system was started.
  double virtual_bytes = 0;
  double resident_bytes = 0;
  double threads = 0;
};

// Reads what /proc/self/stat says, whose second field is a name in parentheses,
// which may contain anything. nullopt: it is not of that form.
std::optional<ProcessNumbers> ParseProcessStat(std::string_view text,
                                               double ticks_per_second,
                                               double page_bytes);

// What cannot be read is left out.
void AddProcessStats(StatList& list);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_METRICS_PROCESS_STATS_H_
