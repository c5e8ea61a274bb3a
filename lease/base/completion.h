// Completions: what a shell offers after Tab for a program's commands, options
// and their values.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_LEASE_BASE_COMPLETION_H_
#define LEASEHOLD_LEASE_BASE_COMPLETION_H_

#include <string>

#include "absl/status/statusor.h"
#include "lease/base/command_text.h"

namespace leasehold {

// The shells there are, as an option shows its values.
inline constexpr char kShells[] = "bash|zsh|fish";

// A script for that shell.
//   InvalidArgument: there is none; the message names those that there are.
absl::StatusOr<std::string> Completion(const std::string& shell,
                                       const CommandText& program);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_COMPLETION_H_
