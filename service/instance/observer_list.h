// ObserverList: those who are told what happens to contexts.
//
// An observer that throws does not keep the others from being told, and the
// others are told of it.
//
// Thread-safety: safe.   Lifetime: observers outlive it.
#ifndef LEASEHOLD_SERVICE_INSTANCE_OBSERVER_LIST_H_
#define LEASEHOLD_SERVICE_INSTANCE_OBSERVER_LIST_H_

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "service/instance/instance_context.h"
#include "service/instance/instance_observer.h"

namespace leasehold {

class ObserverList {
 public:
  explicit ObserverList(std::vector<InstanceObserver*> observers)
      : observers_(std::move(observers)) {}

  // An event of `context` as it is now.
  static InstanceEvent EventOf(InstanceEventKind kind,
                               const InstanceContext& context);

  void Tell(const InstanceEvent& event) const;
  // Tells what `code`, which an embedder wrote, has thrown (kThrew).
  void TellThrew(std::string_view tenant, std::string_view id,
                 uint64_t generation, std::string_view code,
                 std::string_view what) const;

 private:
  const std::vector<InstanceObserver*> observers_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_OBSERVER_LIST_H_
