// KnownWorker: what the dispatcher keeps of a worker: what it takes, what it
// has, and whether it answers.
//
// Thread-safety: none; callers synchronise.   Lifetime: the dispatcher's; the
// work outlives it.
#ifndef LEASEHOLD_SERVICE_DISPATCH_KNOWN_WORKER_H_
#define LEASEHOLD_SERVICE_DISPATCH_KNOWN_WORKER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "service/dispatch/work_watch.h"
#include "service/dispatch/worker.h"

namespace leasehold {

struct Work;

// How well a worker suits a piece of work, in ascending order.
enum class Claim {
  kSilentLastResort,
  kSilentAnything,
  kLastResort,
  kSilentByName,
  kAnything,
  kByName
};

struct KnownWorker {
  static constexpr size_t kSlotsByDefault = 100;

  // It connects at `now`; 0: unknown.
  KnownWorker(WorkerId id, WorkerOptions told, std::shared_ptr<WorkSink> sink,
              WatchTime now);

  bool Serves(std::string_view tenant) const {
    return !closed && options.tenant == tenant;
  }
  // nullopt: it does not take the work. Disowned names are not looked at.
  std::optional<Claim> ClaimOf(const Work& work) const;
  // For people.
  WorkerStatus Status() const;

  // The versions that its filters list for a name.
  struct Versions {
    bool any = false;
    absl::flat_hash_set<std::string> some = {};
  };
  using Names = absl::flat_hash_map<std::string, Versions>;

  // Of its filters only the first few, for people, and whether there are any.
  WorkerOptions options;
  std::shared_ptr<const WorkerInfo> info;
  bool closed = false;
  // The filters by name, in lower case except for a last resort.
  std::array<Names, kWorkKinds> names = {};
  // What has a slot: is out with it, or offered.
  std::array<size_t, kWorkKinds> out = {};
  size_t alone = 0;                              // Items with `alone`.
  std::map<uint64_t, Work*> works = {};          // By ticket.
  uint64_t served = 0;                           // When it last got work.
  std::array<uint64_t, kWorkKinds> heard = {};   // Its last answer.
  std::array<uint64_t, kWorkKinds> newest = {};  // Last answered item.
  bool silent = false;
  // What it got since it became silent, and has not answered.
  std::array<const Work*, kWorkKinds> probes = {};
  // Names that it does not know, with kind and version.
  absl::flat_hash_set<uint64_t> disowned = {};
  WatchTime connected = 0;
  WatchTime last_seen = 0;  // It connected, or answered.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DISPATCH_KNOWN_WORKER_H_
