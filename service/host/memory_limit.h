// MemoryLimit: how much memory the server may plan with, and how its bounds in
// bytes share it.
//
// The bounds: requests that are served and answers that are not read
// (ByteBudget), incomplete requests over gRPC (HalfSent, which may come to
// twice its limit), and bodies over HTTP. What the program needs beside them
// (code, caches of the store, lines of the log) is put aside first.
//
// Thread-safety: functions and values.
#ifndef LEASEHOLD_SERVICE_HOST_MEMORY_LIMIT_H_
#define LEASEHOLD_SERVICE_HOST_MEMORY_LIMIT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace leasehold {

// `--memory-limit` as it was written.
struct MemoryLimit {
  uint64_t bytes = 0;  // 0: the percentage counts.
  double percent = 75;
};

// Reads `2GiB`, `512MiB`, `1500000000` or `75%`.
//   InvalidArgument: it is none of these.
absl::StatusOr<MemoryLimit> ParseMemoryLimit(const std::string& text);

std::string MemoryLimitText(const MemoryLimit& limit);

// What there is: of the machine, or of the control group that the process is
// in, if that has less.
struct AvailableMemory {
  uint64_t bytes = 0;
  bool of_cgroup = false;
};

// `root` stands before /proc and /sys; empty in the real world. nullopt:
// nothing says so.
std::optional<AvailableMemory> FindMemory(const std::string& root);

// How the bounds share a limit.
struct MemoryShares {
  uint64_t limit = 0;
  uint64_t kept = 0;        // `--max-total-bytes`.
  uint64_t incomplete = 0;  // The most that incomplete requests come to.
  uint64_t bodies = 0;      // Over HTTP.
  uint64_t reserved = 0;    // For the program itself.

  uint64_t total() const { return kept + incomplete + bodies + reserved; }
};

// The shares if every bound is `kept`.
MemoryShares SharesOf(uint64_t limit, uint64_t kept);

// The greatest bounds that fit, up to `kept_max`.
//   InvalidArgument: the limit is too small for the least that works; the
//     message says how much that is.
absl::StatusOr<MemoryShares> ShareMemory(uint64_t limit, uint64_t kept_max);

struct ServerOptions;

// Sets what of the options depends on `memory_limit`: `memory`, and the bounds
// in bytes that nobody has given. `root`: as above.
//   InvalidArgument: the limit is too small, for what was given or at all.
absl::Status ApplyMemoryLimit(const std::string& root, ServerOptions& options);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_MEMORY_LIMIT_H_
