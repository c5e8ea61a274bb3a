// PartitionWriter: commits to the only partition of a store, in the epoch in
// which it opened it.
//
// Thread-safety: one thread.   Lifetime: a test's.
#ifndef LEASEHOLD_TESTS_SUPPORT_PARTITION_WRITER_H_
#define LEASEHOLD_TESTS_SUPPORT_PARTITION_WRITER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "service/storage/store.h"

namespace leasehold {

class PartitionWriter {
 public:
  // Where the generations of a partition begin that was never opened.
  static constexpr int64_t kFirstGeneration = 1'000'000;

  // Opens the store and its partition.
  absl::Status Open(Store& store) {
    absl::Status status = store.Open();
    if (!status.ok()) return status;
    const auto opened = store.OpenPartition(kOnlyPartition, kFirstGeneration);
    if (opened.ok()) opened_ = *opened;
    return opened.status();
  }

  // For tests that need not know more than whether it is done.
  absl::Status Commit(Store& store, absl::Span<const Change> changes) const {
    return Try(store, changes).status();
  }
  CommitResult Try(Store& store, absl::Span<const Change> changes) const {
    return store.Commit({fence()}, changes);
  }

  const Fence& fence() const { return opened_.fence; }
  int64_t generation() const { return opened_.generation; }

 private:
  OpenedPartition opened_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_PARTITION_WRITER_H_
