// Which writer may commit to which part of a store, and the outcome of a
// commit.
//
// A partition has one writer at a time. Opening it for writing raises its
// epoch, durably; a commit names the epoch in which its writer opened the
// partition, and the store refuses it once the partition was opened again. So a
// writer that was replaced, and does not know it yet, can do no harm:
//
//   A opens: epoch 1    A commits (0, 1): done
//   B opens: epoch 2    A commits (0, 1): fenced    B commits (0, 2): done
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_STORAGE_PARTITION_H_
#define LEASEHOLD_SERVICE_STORAGE_PARTITION_H_

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace leasehold {

using PartitionId = int32_t;

// How often a partition was opened for writing; 0: never.
using Epoch = int64_t;

// The partition of a store that has only one.
inline constexpr PartitionId kOnlyPartition = 0;

// How many generations of contexts each opening of a partition sets aside.
inline constexpr int64_t kGenerationsPerOpen = int64_t{1} << 32;

// The name in which a writer commits. The default one has opened nothing: it is
// fenced everywhere.
struct Fence {
  PartitionId partition = kOnlyPartition;
  Epoch epoch = 0;

  friend bool operator==(const Fence&, const Fence&) = default;
};

// A partition that was opened for writing.
struct OpenedPartition {
  Fence fence;
  // No context of the partition had this generation, or a greater one, before.
  int64_t generation = 0;
};

// Identifies a row of an outbox.
struct OutboxKey {
  PartitionId source = kOnlyPartition;
  int64_t ordinal = 0;

  friend auto operator<=>(const OutboxKey&, const OutboxKey&) = default;
};

enum class CommitOutcome {
  // All of it is durable.
  kDone,
  // Nothing of it took effect, and nothing will; the status says why.
  kRefused,
  // The same, because the partition was opened again since: only its present
  // writer may commit.
  kFenced,
  // It took effect as a whole, or not at all, or may still do so. Whoever opens
  // the partition again finds out: a commit that was under way is then there or
  // never will be.
  kUnknown,
};

class [[nodiscard]] CommitResult {
 public:
  // `gone`: the TakeOutbox changes whose row was not there, in their order.
  static CommitResult Done(std::vector<OutboxKey> gone = {}) {
    CommitResult result(CommitOutcome::kDone, absl::OkStatus());
    result.gone_ = std::move(gone);
    return result;
  }
  // REQUIRES: `status` is not OK.
  static CommitResult Refused(absl::Status status) {
    return CommitResult(CommitOutcome::kRefused, std::move(status));
  }
  static CommitResult Fenced(absl::Status status) {
    return CommitResult(CommitOutcome::kFenced, std::move(status));
  }
  static CommitResult Unknown(absl::Status status) {
    return CommitResult(CommitOutcome::kUnknown, std::move(status));
  }

  CommitOutcome outcome() const { return outcome_; }
  bool done() const { return outcome_ == CommitOutcome::kDone; }
  // Whether it is certain that nothing of it took effect, or ever will.
  bool known_not_committed() const {
    return outcome_ == CommitOutcome::kRefused ||
           outcome_ == CommitOutcome::kFenced;
  }
  // For people. OK if it is done, and only then.
  const absl::Status& status() const { return status_; }
  const std::vector<OutboxKey>& gone() const { return gone_; }

 private:
  CommitResult(CommitOutcome outcome, absl::Status status)
      : outcome_(outcome), status_(std::move(status)) {}

  CommitOutcome outcome_;
  absl::Status status_;
  std::vector<OutboxKey> gone_;
};

// For a store with one partition, in this epoch: how it answers a commit in
// these names; nullopt: the commit may go on.
std::optional<CommitResult> CheckFences(absl::Span<const Fence> fences,
                                        Epoch epoch);
// NotFound: a store with one partition does not have this one.
absl::Status CheckPartition(PartitionId partition);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_PARTITION_H_
