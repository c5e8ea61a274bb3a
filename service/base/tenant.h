// The tenant of callers of whom nothing is known.
//
// Thread-safety: constants.
#ifndef LEASEHOLD_SERVICE_BASE_TENANT_H_
#define LEASEHOLD_SERVICE_BASE_TENANT_H_

#include <string_view>

namespace leasehold {

inline constexpr std::string_view kDefaultTenant = "default";

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_TENANT_H_
