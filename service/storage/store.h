// Store: the interface to everything that survives a restart.
//
// The writer opens a partition and commits batches of changes to it; each batch
// takes effect as a whole or not at all, and once a Commit is done it is
// durable, whatever happens to the machine. Readers see only committed batches,
// and only whole ones.
//
// A Commit may also be refused or fenced, and has then certainly done nothing;
// or its outcome is unknown (partition.h). After a failure of the disk, each
// Commit is refused until Open; meanwhile, earlier commits can be read as far
// as the disk permits.
//
//   Open ─▶ OpenPartition ─▶ read what is there ─▶ Commit, Commit, ...
//     ▲                                                   │ not done
//     └───────────────────────────────────────────────────┘
//
// Rows belong to the partition of their run's key. The stores in memory and in
// SQLite have one partition, kOnlyPartition, which has all rows.
//
// Thread-safety: Open, OpenPartition and Commit belong to one thread at a time,
// the writer; everything else is safe beside it and from any thread.
// Lifetime: outlives all readers. All methods block; call none on a thread that
// serves calls.
#ifndef LEASEHOLD_SERVICE_STORAGE_STORE_H_
#define LEASEHOLD_SERVICE_STORAGE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "service/storage/partition.h"
#include "service/storage/records.h"
#include "service/storage/run_counts.h"
#include "service/storage/witness.h"

namespace leasehold {

class Store {
 public:
  virtual ~Store() = default;

  // Notes for the next process that opens the same store; nullptr if the store
  // is not open yet, or keeps no notes. Always the same object.
  virtual Witness* witness() { return nullptr; }

  // A name for people: `memory`, or `sqlite` and its file.
  virtual std::string name() const = 0;

  // Opens or reopens the store. Idempotent. OK: it contains everything that was
  // ever committed, and can be written.
  //   FailedPrecondition: another process uses it (the message names it), or a
  //     newer version of the program wrote it.
  //   DataLoss: it is damaged; the message says where.
  //   Unavailable: it cannot be read or written now; a retry may help.
  virtual absl::Status Open() = 0;

  // Opens a partition for writing: raises its epoch, durably. From then on, any
  // commit of an earlier epoch is fenced, and one whose outcome was unknown is
  // there or never will be. `generation_min`: the generations of the
  // partition's contexts begin there, or at a greater number: one that it never
  // used.
  //   NotFound: the store has no such partition.
  //   DataLoss, Unavailable: as Open. The epoch may have been raised.
  virtual absl::StatusOr<OpenedPartition> OpenPartition(
      PartitionId partition, int64_t generation_min) = 0;

  // Calls `each` with every open instance of a partition, in order of their
  // numbers.
  //   DataLoss, Unavailable: as Open.
  virtual absl::Status ReadOpen(
      PartitionId partition,
      absl::FunctionRef<void(OpenRun instance)> each) = 0;

  // The greatest number of any current instance or replaced run of a partition;
  // 0 if there is none.
  virtual absl::StatusOr<RunNumber> ReadLastNumber(PartitionId partition) = 0;

  // The rows of a partition's outbox, in order: what it has to tell, and nobody
  // has acted on.
  virtual absl::StatusOr<std::vector<OutboxRow>> ReadOutbox(
      PartitionId source) = 0;

  // Makes `changes`, in order, all of them or none, in the name of every
  // partition that they touch.
  //   Done: they are durable.
  //   Fenced (Aborted): one of the partitions is now in another epoch.
  //   Refused: the store is not open (DataLoss, Unavailable: as Open), or has
  //     no such partition (NotFound).
  //   Unknown (DataLoss, Unavailable).
  // After Refused with DataLoss or Unavailable, and after Unknown, each Commit
  // is refused until Open.
  virtual CommitResult Commit(absl::Span<const Fence> fences,
                              absl::Span<const Change> changes) = 0;

  // The instance of a key; nullopt if there is none.
  virtual absl::StatusOr<std::optional<RunRow>> Find(std::string_view tenant,
                                                     std::string_view id) = 0;

  // The replaced runs of a key, the greatest number first, as they were when
  // they were replaced.
  virtual absl::StatusOr<std::vector<RunRow>> ReadReplaced(
      std::string_view tenant, std::string_view id) = 0;

  // The chunks of the history of an instance or a replaced run, in order. Empty
  // if there is no such run.
  virtual absl::StatusOr<std::vector<std::string>> ReadHistory(
      RunNumber number) = 0;
  // The same from chunk `first` on, until the chunks have `bytes_max` bytes in
  // total: at least one chunk, if there is one.
  virtual absl::StatusOr<HistoryPart> ReadHistoryPart(RunNumber number,
                                                      int64_t first,
                                                      size_t bytes_max) = 0;
  virtual absl::StatusOr<HistoryEnds> ReadHistoryEnds(RunNumber number) = 0;

  // The messages of an open instance that are not in its history, in order.
  virtual absl::StatusOr<std::vector<MessageRow>> ReadMessages(
      RunNumber number, const MessageRange& range) = 0;

  // An activity of an open instance; nullopt if it has none of that sequence.
  virtual absl::StatusOr<std::optional<TaskRow>> ReadTask(RunNumber number,
                                                          int64_t sequence) = 0;

  virtual absl::StatusOr<RowPage> Query(const RowQuery& query) = 0;
  // Counts the rows that Query would find, page after page. Order and size of
  // pages do not matter; continue with the query that began.
  virtual absl::StatusOr<RowCounts> Count(const RowQuery& query) = 0;
  virtual absl::StatusOr<FinishedPage> ListFinished(
      const FinishedQuery& query) = 0;

  // The row of a PutRequest; nullopt if there is none.
  virtual absl::StatusOr<std::optional<RequestRow>> FindRequest(
      std::string_view tenant, std::string_view request) = 0;

  // Calls `each` with every entity of a partition that is awake.
  //   DataLoss, Unavailable: as Open.
  virtual absl::Status ReadAwake(
      PartitionId partition,
      absl::FunctionRef<void(AwakeEntity entity)> each) = 0;

  // An entity; nullopt if there is none of this key.
  virtual absl::StatusOr<std::optional<EntityRow>> FindEntity(
      std::string_view tenant, std::string_view id) = 0;

  virtual absl::StatusOr<EntityPage> QueryEntities(
      const EntityQuery& query) = 0;

  // Calls `each` with every call of a partition that is kept, in the order in
  // which they were put.
  //   DataLoss, Unavailable: as Open.
  virtual absl::Status ReadCalls(
      PartitionId partition, absl::FunctionRef<void(CallMark call)> each) = 0;

  // The row of a PutCall; nullopt if there is none.
  virtual absl::StatusOr<std::optional<CallRow>> FindCall(
      std::string_view tenant, std::string_view request) = 0;

  // What the rows of a tenant take (tenant_bytes.h), as of the last commit that
  // was done. Does not block; safe on any thread.
  virtual uint64_t StoredBytes(std::string_view tenant) const = 0;

  // How many instances of each tenant have each status, as of the last commit
  // that was done. Always the same object.
  virtual const RunCounts& run_counts() const = 0;

  // The value of a PutSetting; nullopt if there is none.
  virtual absl::StatusOr<std::optional<std::string>> ReadSetting(
      std::string_view name) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_STORE_H_
