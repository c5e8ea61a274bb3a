// The services that use contexts, by the names that people give them.
//
// `--idle-timeout=NAME=D` reads this table: it knows the names in it, and no
// others.
//
// Thread-safety: constants.
#ifndef LEASEHOLD_SERVICE_DOORS_SERVICE_NAMES_H_
#define LEASEHOLD_SERVICE_DOORS_SERVICE_NAMES_H_

#include <array>
#include <string_view>

namespace leasehold {

struct ServiceName {
  std::string_view full;    // With its package.
  std::string_view option;  // In options.
};

inline constexpr ServiceName kEchoService = {"leasehold.v1.Echo", "echo"};
inline constexpr ServiceName kOrchestrationService = {
    "leasehold.v1.Orchestration", "orchestration"};

inline constexpr std::array<ServiceName, 2> kServicesWithContexts = {
    kEchoService, kOrchestrationService};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_SERVICE_NAMES_H_
