// DurableFunctionsEntities: the calls of the Durable Functions HTTP API about
// entities.
//
// An entity's path is its name and its key; the key `$` is the empty one.
//
// Thread-safety: safe.   Lifetime: the port outlives it and the calls.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_ENTITIES_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_ENTITIES_H_

#include <string>

#include "service/http/durable_functions_call.h"
#include "service/orchestration/entities.h"

namespace leasehold {

class DurableFunctionsEntities {
 public:
  explicit DurableFunctionsEntities(Entities& entities) : entities_(entities) {}

  // All of them, or those of a `{name}`.
  void List(const HttpCallPtr& call);
  void Get(const HttpCallPtr& call);
  void Signal(const HttpCallPtr& call);
  // Signals the operation `delete`.
  void Delete(const HttpCallPtr& call);

 private:
  void Send(const HttpCallPtr& call, const InstanceKey& key,
            std::string operation, Payload input);

  Entities& entities_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_ENTITIES_H_
