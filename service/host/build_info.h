// BuildInfo: which program this is.
//
// Thread-safety: a constant.
#ifndef LEASEHOLD_SERVICE_HOST_BUILD_INFO_H_
#define LEASEHOLD_SERVICE_HOST_BUILD_INFO_H_

#include <string>

namespace leasehold {

struct BuildInfo {
  std::string version;   // `0.1.0`.
  std::string commit;    // `4c1f0d2a91be`; empty: not known.
  std::string compiler;  // `GNU 12.2.0`.
  std::string grpc;      // `1.51.1`.
};

BuildInfo ThisBuild();

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_BUILD_INFO_H_
