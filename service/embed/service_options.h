// ServiceOptions: what an embedder's service asks of its callers and of the
// contexts that it uses.
//
// Thread-safety: values.
#ifndef LEASEHOLD_SERVICE_EMBED_SERVICE_OPTIONS_H_
#define LEASEHOLD_SERVICE_EMBED_SERVICE_OPTIONS_H_

#include <string_view>

#include "absl/time/time.h"
#include "service/instance/instance_context_provider.h"
#include "service/rpc/caller.h"

namespace leasehold {

struct ServiceOptions {
  // The contexts' idle timeout is at least this; zero: the server's. (A context
  // has the longest timeout that any of its services asks for.)
  absl::Duration idle_timeout = absl::ZeroDuration();
  // Which contexts its calls get, and when these are idle. Null: the server's
  // provider (InstancesOptions::provider). A context that services with
  // different providers use has all of these: it is idle when each says so, and
  // has a lease if one of them has leases. Leasehold's own services have no
  // say. Outlives the Instances.
  InstanceContextProvider* provider = nullptr;
  // Who may call it, if the server has a gatekeeper.
  Role role = Role::kUser;
  // Its full name (`package.Service`), for refusals, for initializers, and for
  // whoever counts calls. The text outlives the calls.
  std::string_view name = {};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_EMBED_SERVICE_OPTIONS_H_
