// LoadedRun: an open orchestration as its rows in the store have it, when the
// engine's memory is built from them.
//
// Large messages and activities are not read: of them only the beginning is
// known, which says what they are. Something that cannot be read damages the
// orchestration, and harms no other.
//
// Thread-safety: a pure function and a value.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_LOADED_RUN_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_LOADED_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "service/orchestration/directory.h"
#include "service/orchestration/history.h"
#include "service/orchestration/timers.h"
#include "service/storage/records.h"

namespace leasehold {

struct LoadedRun {
  struct Activity {
    int32_t id = 0;
    TaskScheduled task;
    bool away = false;  // Everything but its name is only in the store.
  };

  // Durable, with its inbox and without activities.
  OrchestrationPtr orchestration;
  std::vector<Activity> activities;
  std::vector<Timers::Entry> timers;  // Its own, and its scheduled start.
  // What cannot be read, for people; empty: nothing. The rest is as far as it
  // was read before that.
  std::string damage;
  bool row_is_intact = false;  // What is damaged, if anything, is a part of it.
};

// `id_is_taken`: another open orchestration has the ID in the row, which must
// then be damaged.
LoadedRun LoadRun(OpenRun stored, bool id_is_taken, absl::Time now);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_LOADED_RUN_H_
