// SqliteReader: a read-only connection to a SqliteStore's file.
//
// What each method reads is one moment of the file. Query and ListFinished stop
// after a second: while anybody reads an old moment, the log that holds what
// came after it can only grow.
//
// Thread-safety: one thread at a time, but for Interrupt.   Lifetime: while it
// lives, the file is open; the clock outlives it.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_READER_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_READER_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lease/clock.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/store.h"

namespace leasehold {

class SqliteReader {
 public:
  // status() says how it went.
  SqliteReader(const std::string& path, const std::string& vfs,
               const Clock& clock);

  const absl::Status& status() const { return connection_.status(); }
  void Interrupt() { connection_.Interrupt(); }

  // As those of Store.
  absl::Status ReadOpen(absl::FunctionRef<void(OpenInstance instance)> each);
  absl::StatusOr<InstanceNumber> ReadLastNumber();
  absl::StatusOr<std::optional<InstanceRow>> Find(std::string_view tenant,
                                                  std::string_view id);
  absl::StatusOr<std::vector<InstanceRow>> ReadReplaced(std::string_view tenant,
                                                        std::string_view id);
  absl::StatusOr<std::vector<std::string>> ReadHistory(InstanceNumber number);
  absl::StatusOr<HistoryEnds> ReadHistoryEnds(InstanceNumber number);
  absl::StatusOr<RowPage> Query(const RowQuery& query);
  absl::StatusOr<FinishedPage> ListFinished(const FinishedQuery& query);
  absl::StatusOr<std::optional<RequestRow>> FindRequest(
      std::string_view tenant, std::string_view request);
  absl::StatusOr<std::optional<std::string>> ReadSetting(std::string_view name);

 private:
  class Limit;
  using Position = FinishedQuery::Position;

  // Looks at `rows` until they end, the page is full or time is over; then sets
  // the page's `next`. Returns whether the page is done.
  template <typename Conditions, typename Page, typename At>
  absl::StatusOr<bool> Fill(const Conditions& conditions, SqliteRows& rows,
                            Limit& limit, At at, Page& page);
  // The row that `rows` is at.
  absl::StatusOr<InstanceRow> Row(const SqliteRows& rows);

  const Clock& clock_;
  SqliteConnection connection_;
  SqliteStatement open_instances_;
  SqliteStatement all_messages_;
  SqliteStatement all_timers_;
  SqliteStatement all_tasks_;
  SqliteStatement last_number_;
  SqliteStatement find_;
  SqliteStatement replaced_;
  SqliteStatement history_;
  SqliteStatement first_chunk_;
  SqliteStatement last_chunk_;
  SqliteStatement rows_after_;
  SqliteStatement finished_at_;
  SqliteStatement finished_after_;
  SqliteStatement summary_;
  SqliteStatement request_;
  SqliteStatement setting_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_READER_H_
