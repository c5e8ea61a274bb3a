// SqliteReader: a read-only connection to a SqliteStore's file.
//
// Each method sees one consistent snapshot of the file. Query, Count and
// ListFinished stop after a second: while a reader uses an old snapshot, the
// log of later changes can only grow.
//
// Thread-safety: one thread at a time.   Lifetime: while it lives, the file is
// open; the clock outlives it.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_READER_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_READER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lease/clock.h"
#include "service/storage/sqlite_calls.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/sqlite_entities.h"
#include "service/storage/sqlite_runs.h"
#include "service/storage/store.h"

namespace leasehold {

class SqliteReader {
 public:
  // status() has the result.
  SqliteReader(const std::string& path, const std::string& vfs,
               const Clock& clock);

  const absl::Status& status() const { return connection_.status(); }

  // Like those of Store.
  absl::Status ReadOpen(PartitionId partition,
                        absl::FunctionRef<void(OpenRun instance)> each);
  absl::StatusOr<RunNumber> ReadLastNumber(PartitionId partition);
  absl::StatusOr<std::vector<OutboxRow>> ReadOutbox(PartitionId source);
  absl::StatusOr<std::vector<std::string>> ReadHistory(RunNumber number);
  absl::StatusOr<HistoryPart> ReadHistoryPart(RunNumber number, int64_t first,
                                              size_t bytes_max);
  absl::StatusOr<HistoryEnds> ReadHistoryEnds(RunNumber number);
  absl::StatusOr<std::vector<MessageRow>> ReadMessages(
      RunNumber number, const MessageRange& range);
  absl::StatusOr<std::optional<TaskRow>> ReadTask(RunNumber number,
                                                  int64_t sequence);
  absl::StatusOr<std::optional<RequestRow>> FindRequest(
      std::string_view tenant, std::string_view request);
  absl::StatusOr<std::optional<std::string>> ReadSetting(std::string_view name);

  absl::StatusOr<std::optional<RunRow>> Find(std::string_view tenant,
                                             std::string_view id) {
    return runs_.Find(tenant, id);
  }
  absl::StatusOr<std::vector<RunRow>> ReadReplaced(std::string_view tenant,
                                                   std::string_view id) {
    return runs_.ReadReplaced(tenant, id);
  }
  absl::StatusOr<RowPage> Query(const RowQuery& query) {
    return runs_.Query(query);
  }
  absl::StatusOr<RowCounts> Count(const RowQuery& query) {
    return runs_.Count(query);
  }
  absl::StatusOr<FinishedPage> ListFinished(const FinishedQuery& query) {
    return runs_.ListFinished(query);
  }
  absl::Status ReadAwake(PartitionId partition,
                         absl::FunctionRef<void(AwakeEntity entity)> each) {
    return entities_.ReadAwake(partition, each);
  }
  absl::StatusOr<std::optional<EntityRow>> FindEntity(std::string_view tenant,
                                                      std::string_view id) {
    return entities_.Find(tenant, id);
  }
  absl::StatusOr<EntityPage> QueryEntities(const EntityQuery& query) {
    return entities_.Query(query);
  }
  absl::Status ReadCalls(PartitionId partition,
                         absl::FunctionRef<void(CallMark call)> each) {
    return calls_.ReadCalls(partition, each);
  }
  absl::StatusOr<std::optional<CallRow>> FindCall(std::string_view tenant,
                                                  std::string_view request) {
    return calls_.Find(tenant, request);
  }

 private:
  // Numbers of rows of open instances.
  struct Counts {
    int64_t open = 0;
    int64_t messages = 0;
    int64_t timers = 0;
    int64_t tasks = 0;
  };
  // DataLoss if the numbers differ.
  absl::Status CompareWithLedger(const SqliteRows& ledger, const Counts& found);
  absl::Status MissingRows(const std::string& missing);

  SqliteConnection connection_;
  SqliteRunReader runs_;
  SqliteEntityReader entities_;
  SqliteCallReader calls_;
  SqliteStatement open_instances_;
  SqliteStatement all_messages_;
  SqliteStatement all_timers_;
  SqliteStatement all_tasks_;
  SqliteStatement all_outbox_;
  SqliteStatement last_number_;
  SqliteStatement history_;
  SqliteStatement messages_;
  SqliteStatement task_;
  SqliteStatement first_chunk_;
  SqliteStatement last_chunk_;
  SqliteStatement request_;
  SqliteStatement setting_;
  SqliteStatement ledger_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_READER_H_
