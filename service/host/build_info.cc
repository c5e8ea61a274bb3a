#include "service/host/build_info.h"

#include <grpcpp/grpcpp.h>

namespace leasehold {

BuildInfo ThisBuild() {
  return {.version = LEASEHOLD_VERSION,
          .commit = LEASEHOLD_COMMIT,
          .compiler = LEASEHOLD_COMPILER,
          .grpc = grpc::Version()};
}

}  // namespace leasehold
