// FairRoom: places for so many at once, of which no tenant takes all.
//
// A tenant may have as many places as are still free: alone it has half of
// them; two have a third each. So whoever comes finds one, however many others
// ask for.
//
// Thread-safety: safe.   Lifetime: places keep it.
#ifndef LEASEHOLD_SERVICE_HTTP_FAIR_ROOM_H_
#define LEASEHOLD_SERVICE_HTTP_FAIR_ROOM_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "lease/base/mutex.h"

namespace leasehold {

class FairRoom : public std::enable_shared_from_this<FairRoom> {
 public:
  explicit FairRoom(size_t places) : free_(places) {}
  FairRoom(const FairRoom&) = delete;
  FairRoom& operator=(const FairRoom&) = delete;

  // A place, until it is destroyed. Null: the tenant has its share.
  std::shared_ptr<void> Take(const std::string& tenant)
      ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    const auto of = of_tenants_.try_emplace(tenant, 0).first;
    if (of->second >= free_) {
      if (of->second == 0) of_tenants_.erase(of);
      return nullptr;
    }
    ++of->second;
    --free_;
    return {this, [room = shared_from_this(), tenant](void*) {
              room->Leave(tenant);
            }};
  }

 private:
  void Leave(const std::string& tenant) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    ++free_;
    const auto of = of_tenants_.find(tenant);
    if (--of->second == 0) of_tenants_.erase(of);
  }

  Mutex mu_;
  size_t free_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, size_t> of_tenants_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_FAIR_ROOM_H_
