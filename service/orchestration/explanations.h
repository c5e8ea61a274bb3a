// Explanations: why nothing happens with an instance. The doors know this
// interface, not the engine.
//
// Thread-safety: safe. `done` runs on any thread, once, under no lock; it must
// not block.   Lifetime: outlives the calls.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_EXPLANATIONS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_EXPLANATIONS_H_

#include "service/instance/instance_key.h"
#include "service/orchestration/explanation.h"
#include "service/orchestration/requests.h"

namespace leasehold {

class Explanations {
 public:
  virtual ~Explanations() = default;

  // Creates, renews and pins nothing. What it says held at one moment, or
  // within a few milliseconds.
  //   NotFound: there is neither an instance context of this ID nor an
  //     orchestration or entity.
  //   Unavailable: the store cannot be read now.
  virtual void Explain(const InstanceKey& key, Done<Explanation> done) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_EXPLANATIONS_H_
