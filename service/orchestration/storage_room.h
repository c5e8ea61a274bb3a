// StorageRoom: whether a tenant may have more stored (the limit stored_bytes).
//
// What callers begin asks here: starts, events, signals, calls of entities.
// What belongs to work that was accepted goes on, and so does what makes room:
// answers of workers, timers, ends, purges. So a tenant may come to have more
// than its limit, but not by what it asks for.
//
// Thread-safety: safe.   Lifetime: the store outlives it; what it has put into
// a commit may outlive it.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_STORAGE_ROOM_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_STORAGE_ROOM_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "service/base/tenant_tally.h"
#include "service/orchestration/commit_queue.h"
#include "service/orchestration/wire.h"
#include "service/storage/store.h"

namespace leasehold {

class StorageRoom {
 public:
  // The limit of a tenant; 0: none. May be null.
  using LimitOf = std::function<uint64_t(const std::string& tenant)>;

  StorageRoom(const Store& store, LimitOf limit_of);

  // `commit` will store a payload of so many bytes for the tenant. Until it is
  // done they count as if they were stored.
  //   ResourceExhausted: the tenant has as much as it may; with the limit, and
  //     when to try again.
  absl::Status Take(const std::string& tenant, size_t bytes,
                    PendingCommit& commit);
  absl::Status Take(const std::string& tenant, const Payload& payload,
                    PendingCommit& commit) {
    return Take(tenant, payload.has_value() ? payload->size() : 0, commit);
  }

  // What a tenant that is at its limit has, with what is coming, and may have.
  struct Full {
    uint64_t bytes = 0;
    uint64_t bytes_max = 0;
  };
  // nullopt: nothing is refused because of this limit.
  std::optional<Full> FullOf(const std::string& tenant) const;
  // How often each tenant was refused.
  TenantTally::Counts refused() const { return refused_.Read(); }

 private:
  class Coming;
  class Taken;

  const Store& store_;
  const LimitOf limit_of_;
  const std::shared_ptr<Coming> coming_;
  TenantTally refused_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_STORAGE_ROOM_H_
