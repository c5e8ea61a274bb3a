// ServiceOptions: what an embedder's service asks of its callers and of the
// contexts that it uses.
//
// Thread-safety: values.
#ifndef LEASEHOLD_SERVICE_EMBED_SERVICE_OPTIONS_H_
#define LEASEHOLD_SERVICE_EMBED_SERVICE_OPTIONS_H_

#include <string_view>

#include "absl/time/time.h"
#include "service/rpc/caller.h"

namespace leasehold {

struct ServiceOptions {
  // The contexts' idle timeout is at least this; zero: the server's. (A context
  // has the longest timeout that any of its services asks for.)
  absl::Duration idle_timeout = absl::ZeroDuration();
  // Who may call it, if the server has a gatekeeper.
  Role role = Role::kUser;
  // Its full name, for refusals and for whoever counts calls.
  std::string_view name = {};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_EMBED_SERVICE_OPTIONS_H_
