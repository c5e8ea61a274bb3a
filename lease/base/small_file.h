// ReadSmallFile: the content of a file that is small if it is the right one: a
// setting, a certificate, a key.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_LEASE_BASE_SMALL_FILE_H_
#define LEASEHOLD_LEASE_BASE_SMALL_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace leasehold {

//   InvalidArgument: it cannot be read, or is larger than 1 MiB, as /dev/zero
//     is. The message begins with `path`.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_SMALL_FILE_H_
