#include "service/storage/sqlite_runs.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/storage/row_match.h"
#include "service/storage/sqlite_schema.h"

namespace leasehold {
namespace {

constexpr absl::Duration kReadMax = absl::Seconds(1);

constexpr RunNumber kFirstNumber = std::numeric_limits<RunNumber>::min();
constexpr RunNumber kLastNumber = std::numeric_limits<RunNumber>::max();
constexpr StoredTime kFirstTime = std::numeric_limits<StoredTime>::min();
constexpr StoredTime kLastTime = std::numeric_limits<StoredTime>::max();

// An instance without its summary, which is read only for rows that match.
constexpr absl::string_view kSelect =
    "SELECT number, status, created, finished, tenant, id FROM instance ";

// The same with its summary, for queries that look into it.
constexpr absl::string_view kSelectWithSummary =
    "SELECT number, status, created, finished, tenant, id, summary"
    " FROM instance ";

constexpr absl::string_view kOldestFirst = "WHERE number>? ORDER BY number";

// Of a tenant: those before a place, and not created before a time.
constexpr absl::string_view kNewestFirst =
    "INDEXED BY instance_created"
    " WHERE tenant=? AND (created,number)<(?,?) AND created>=?"
    " ORDER BY created DESC, number DESC";

RowView ViewOf(const SqliteRows& rows) {
  return {rows.Bytes(4), rows.Bytes(5), static_cast<int32_t>(rows.Number(1)),
          rows.Number(2), rows.NumberOrNull(3)};
}

RowPosition PlaceOf(const SqliteRows& rows) {
  return {rows.Number(0), rows.Number(2)};
}

// Of one of a query's candidates.
bool IsMatch(const RowQuery& query, const SqliteRows& rows) {
  return Matches(query, ViewOf(rows)) &&
         (!query.summary || query.summary(rows.Bytes(6)));
}
bool IsMatch(const FinishedQuery& query, const SqliteRows& rows) {
  return Matches(query, ViewOf(rows));
}

RunRow RowWithoutSummary(const SqliteRows& rows) {
  return {.number = rows.Number(0),
          .tenant = rows.String(4),
          .id = rows.String(5),
          .status = static_cast<int32_t>(rows.Number(1)),
          .created = rows.Number(2),
          .finished = rows.NumberOrNull(3),
          .summary = {}};
}

}  // namespace

// Says when a read has used up its time.
class SqliteRunReader::Limit {
 public:
  explicit Limit(const Clock& clock)
      : clock_(clock), end_(clock.Now() + kReadMax) {}

  // Called for each row; reads the clock now and then.
  bool Over() {
    return ++rows_ % kRowsBetweenLooks == 0 && clock_.Now() >= end_;
  }

 private:
  static constexpr int kRowsBetweenLooks = 64;

  const Clock& clock_;
  const Instant end_;
  int rows_ = 0;
};

SqliteRunReader::SqliteRunReader(SqliteConnection& connection,
                                 const Clock& clock)
    : clock_(clock),
      find_(connection, absl::StrCat(kSelect, "WHERE key_hash=?")),
      replaced_(connection,
                absl::StrCat("SELECT number, status, created, finished, tenant,"
                             " id, summary, ",
                             kRunIsWhole,
                             " FROM replaced WHERE key_hash=?"
                             " ORDER BY number DESC")),
      rows_after_(connection, absl::StrCat(kSelect, kOldestFirst)),
      summaries_after_(connection,
                       absl::StrCat(kSelectWithSummary, kOldestFirst)),
      newest_before_(connection, absl::StrCat(kSelect, kNewestFirst)),
      newest_summaries_before_(connection,
                               absl::StrCat(kSelectWithSummary, kNewestFirst)),
      finished_at_(connection, absl::StrCat(kSelect,
                                            "INDEXED BY instance_finished"
                                            " WHERE finished=? AND number>?"
                                            " ORDER BY number")),
      finished_after_(connection,
                      absl::StrCat(kSelect,
                                   "INDEXED BY instance_finished"
                                   " WHERE finished>=? AND finished<=?"
                                   " ORDER BY finished, number")),
      summary_(connection, absl::StrCat("SELECT summary, ", kRunIsWhole,
                                        " FROM instance WHERE number=?")) {}

absl::StatusOr<RunRow> SqliteRunReader::Row(const SqliteRows& rows) {
  // Begun while `rows` is active, so it sees the same snapshot of the file.
  SqliteRows summary = summary_.Start(rows.Number(0));
  RunRow row = RowWithoutSummary(rows);
  if (summary.Next()) {
    row.summary = summary.String(0);
    row.damaged = summary.Number(1) == 0;
  }
  if (!summary.status().ok()) return summary.status();
  return row;
}

absl::StatusOr<std::optional<RunRow>> SqliteRunReader::Find(
    std::string_view tenant, std::string_view id) {
  SqliteRows rows = find_.Start(SqliteKeyHash(tenant, id));
  while (rows.Next()) {
    if (rows.Bytes(4) != tenant || rows.Bytes(5) != id) continue;
    absl::StatusOr<RunRow> row = Row(rows);
    if (!row.ok()) return row.status();
    return *std::move(row);
  }
  if (!rows.status().ok()) return rows.status();
  return std::nullopt;
}

absl::StatusOr<std::vector<RunRow>> SqliteRunReader::ReadReplaced(
    std::string_view tenant, std::string_view id) {
  std::vector<RunRow> runs;
  SqliteRows rows = replaced_.Start(SqliteKeyHash(tenant, id));
  while (rows.Next()) {
    if (rows.Bytes(4) != tenant || rows.Bytes(5) != id) continue;
    runs.push_back(RowWithoutSummary(rows));
    runs.back().summary = rows.String(6);
    runs.back().damaged = rows.Number(7) == 0;
  }
  if (!rows.status().ok()) return rows.status();
  return runs;
}

template <typename Conditions, typename Page, typename At>
absl::StatusOr<bool> SqliteRunReader::Fill(const Conditions& conditions,
                                           SqliteRows& rows, Limit& limit,
                                           At at, Page& page) {
  while (rows.Next()) {
    if (IsMatch(conditions, rows)) {
      absl::StatusOr<RunRow> row = Row(rows);
      if (!row.ok()) return row.status();
      page.rows.push_back(*std::move(row));
    }
    if (page.rows.size() >= conditions.count_max || limit.Over()) {
      page.next = at(rows);
      return true;
    }
  }
  if (!rows.status().ok()) return rows.status();
  return false;
}

SqliteRows SqliteRunReader::Candidates(const RowQuery& query, RowOrder order) {
  if (order == RowOrder::kOldestFirst) {
    const RunNumber after = query.after ? query.after->number : kFirstNumber;
    return (query.summary ? summaries_after_ : rows_after_).Start(after);
  }
  // Nothing comes after the last number of a moment.
  const RowPosition before = query.after.value_or(
      RowPosition{kLastNumber, query.created_to.value_or(kLastTime)});
  return (query.summary ? newest_summaries_before_ : newest_before_)
      .Start(query.tenant, before.created, before.number,
             query.created_from.value_or(kFirstTime));
}

absl::StatusOr<RowPage> SqliteRunReader::Query(const RowQuery& query) {
  RowPage page;
  Limit limit(clock_);
  SqliteRows rows = Candidates(query, query.order);
  const auto done = Fill(query, rows, limit, PlaceOf, page);
  if (!done.ok()) return done.status();
  return page;
}

absl::StatusOr<RowCounts> SqliteRunReader::Count(const RowQuery& query) {
  RowCounts counts;
  Limit limit(clock_);
  // In this order because it skips other tenants and other times.
  SqliteRows rows = Candidates(query, RowOrder::kNewestFirst);
  while (rows.Next()) {
    if (IsMatch(query, rows)) {
      ++counts.by_status[static_cast<int32_t>(rows.Number(1))];
    }
    if (!limit.Over()) continue;
    counts.next = PlaceOf(rows);
    break;
  }
  if (!rows.status().ok()) return rows.status();
  return counts;
}

absl::StatusOr<FinishedPage> SqliteRunReader::ListFinished(
    const FinishedQuery& query) {
  FinishedPage page;
  Limit limit(clock_);
  const auto at = [](const SqliteRows& r) {
    return Position{r.Number(3), r.Number(0)};
  };
  StoredTime from = query.finished_from.value_or(kFirstTime);
  const StoredTime to = query.finished_to.value_or(kLastTime);

  // First the remaining ones that finished at the same time as the last one.
  if (query.after && query.after->finished >= from) {
    SqliteRows rows =
        finished_at_.Start(query.after->finished, query.after->number);
    const auto done = Fill(query, rows, limit, at, page);
    if (!done.ok()) return done.status();
    if (*done || query.after->finished == kLastTime) return page;
    from = query.after->finished + 1;
  }
  SqliteRows rows = finished_after_.Start(from, to);
  const auto done = Fill(query, rows, limit, at, page);
  if (!done.ok()) return done.status();
  return page;
}

}  // namespace leasehold
