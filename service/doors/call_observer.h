// CallObserver: told what callers ask for and what they get, to show it.
//
// Thread-safety: called on any thread; must not block.   Lifetime: outlives the
// doors that call it.
#ifndef LEASEHOLD_SERVICE_DOORS_CALL_OBSERVER_H_
#define LEASEHOLD_SERVICE_DOORS_CALL_OBSERVER_H_

#include <string_view>

#include "service/instance/instance_context.h"
#include "service/instance/instance_headers.h"

namespace leasehold {

class CallObserver {
 public:
  // A call of `method` has named its instance; `text` is what it sent.
  virtual void OnRequest(std::string_view method,
                         const InstanceRequest& request,
                         std::string_view text) = 0;
  // It is about to be answered with `text` by `context`.
  virtual void OnResponse(std::string_view method,
                          const InstanceContext& context,
                          std::string_view text) = 0;
  // A start has created the singleton orchestration of that ID.
  virtual void OnSingletonCreated(std::string_view instance_id) = 0;

 protected:
  ~CallObserver() = default;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_CALL_OBSERVER_H_
