#include "service/storage/partition.h"

#include "absl/strings/str_cat.h"

namespace leasehold {

std::optional<CommitResult> CheckFences(absl::Span<const Fence> fences,
                                        Epoch epoch) {
  if (fences.empty()) {
    return CommitResult::Refused(
        absl::InvalidArgumentError("a commit must name a partition"));
  }
  for (const Fence& fence : fences) {
    if (absl::Status status = CheckPartition(fence.partition); !status.ok()) {
      return CommitResult::Refused(std::move(status));
    }
    if (fence.epoch == epoch && epoch != 0) continue;
    return CommitResult::Fenced(absl::AbortedError(
        absl::StrCat("partition ", fence.partition, " is in epoch ", epoch,
                     ", and this commit is of epoch ", fence.epoch)));
  }
  return std::nullopt;
}

absl::Status CheckPartition(PartitionId partition) {
  if (partition == kOnlyPartition) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("the store has no partition ", partition));
}

}  // namespace leasehold
