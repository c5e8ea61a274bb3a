// SqliteRunReader: the rows of instances and of replaced runs in a
// SqliteStore's file: of one key, in lists, and counted.
//
// A part of SqliteReader: it uses its connection, and what is said there holds
// here.
//
// Thread-safety: one thread at a time.   Lifetime: the connection and the clock
// outlive it.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_RUNS_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_RUNS_H_

#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lease/clock.h"
#include "service/storage/records.h"
#include "service/storage/sqlite_connection.h"

namespace leasehold {

// Whether the checksum of an instance or replaced run matches.
inline constexpr absl::string_view kRunIsWhole =
    "sum=row_sum(number,key_hash,status,created,finished,tenant,id,summary)";

class SqliteRunReader {
 public:
  SqliteRunReader(SqliteConnection& connection, const Clock& clock);

  // Like those of Store.
  absl::StatusOr<std::optional<RunRow>> Find(std::string_view tenant,
                                             std::string_view id);
  absl::StatusOr<std::vector<RunRow>> ReadReplaced(std::string_view tenant,
                                                   std::string_view id);
  absl::StatusOr<RowPage> Query(const RowQuery& query);
  absl::StatusOr<RowCounts> Count(const RowQuery& query);
  absl::StatusOr<FinishedPage> ListFinished(const FinishedQuery& query);

 private:
  class Limit;
  using Position = FinishedQuery::Position;

  // The rows that a query begins to look at, in its order. Of these and of
  // those with their summaries, in column 6, there is a statement each.
  SqliteRows Candidates(const RowQuery& query, RowOrder order);
  // Scans `rows` until they end, the page is full or time is up; then sets the
  // page's `next`. Returns whether the page is done.
  template <typename Conditions, typename Page, typename At>
  absl::StatusOr<bool> Fill(const Conditions& conditions, SqliteRows& rows,
                            Limit& limit, At at, Page& page);
  // The current row of `rows`.
  absl::StatusOr<RunRow> Row(const SqliteRows& rows);

  const Clock& clock_;
  SqliteStatement find_;
  SqliteStatement replaced_;
  SqliteStatement rows_after_;
  SqliteStatement summaries_after_;
  SqliteStatement newest_before_;
  SqliteStatement newest_summaries_before_;
  SqliteStatement finished_at_;
  SqliteStatement finished_after_;
  SqliteStatement summary_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_RUNS_H_
