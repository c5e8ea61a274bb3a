#include "service/storage/sqlite_reader.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/storage/row_match.h"
#include "service/storage/sqlite_schema.h"

namespace leasehold {
namespace {

constexpr absl::Duration kReadMax = absl::Seconds(1);

// An instance without its summary, which is read of those rows only that match.
constexpr absl::string_view kSelect =
    "SELECT number, status, created, finished, tenant, id FROM instance ";

RowView View(const SqliteRows& rows) {
  return {rows.Bytes(4), rows.Bytes(5), static_cast<int32_t>(rows.Number(1)),
          rows.Number(2), rows.NumberOrNull(3)};
}

InstanceRow RowWithoutSummary(const SqliteRows& rows) {
  return {.number = rows.Number(0),
          .tenant = rows.String(4),
          .id = rows.String(5),
          .status = static_cast<int32_t>(rows.Number(1)),
          .created = rows.Number(2),
          .finished = rows.NumberOrNull(3),
          .summary = {}};
}

// The rows of a table of parts, in order of numbers, taken together with the
// instances, which come in the same order.
template <typename Part>
class Parts {
 public:
  using Read = Part (*)(const SqliteRows& rows);

  Parts(SqliteStatement& statement, Read read)
      : rows_(statement.Start()), read_(read) {}

  // Those of this number; numbers rise from call to call.
  std::vector<Part> Of(InstanceNumber number) {
    std::vector<Part> parts;
    if (!started_) Step();
    started_ = true;
    while (more_ && rows_.Number(0) < number) Step();
    while (more_ && rows_.Number(0) == number) {
      parts.push_back(read_(rows_));
      Step();
    }
    return parts;
  }

  const absl::Status& status() const { return rows_.status(); }

 private:
  void Step() { more_ = rows_.Next(); }

  SqliteRows rows_;
  const Read read_;
  bool started_ = false;
  bool more_ = false;
};

}  // namespace

// Says when a read has had its time.
class SqliteReader::Limit {
 public:
  explicit Limit(const Clock& clock)
      : clock_(clock), end_(clock.Now() + kReadMax) {}

  // Asked for each row; looks at the clock now and then.
  bool Over() {
    return ++rows_ % kRowsBetweenLooks == 0 && clock_.Now() >= end_;
  }

 private:
  static constexpr int kRowsBetweenLooks = 64;

  const Clock& clock_;
  const Instant end_;
  int rows_ = 0;
};

SqliteReader::SqliteReader(const std::string& path, const std::string& vfs,
                           const Clock& clock)
    : clock_(clock),
      connection_(path, vfs, SqliteConnection::Access::kReadOnly),
      open_instances_(connection_,
                      "SELECT number, status, created, tenant, id, summary"
                      " FROM instance INDEXED BY instance_finished"
                      " WHERE finished IS NULL ORDER BY number"),
      all_messages_(connection_,
                    "SELECT number, sequence, execution, event FROM message"
                    " ORDER BY number, sequence"),
      all_timers_(connection_,
                  "SELECT number, sequence, due FROM timer"
                  " ORDER BY number, sequence"),
      all_tasks_(connection_,
                 "SELECT number, sequence, task FROM task"
                 " ORDER BY number, sequence"),
      last_number_(connection_,
                   "SELECT max(number) FROM"
                   " (SELECT max(number) AS number FROM instance"
                   " UNION ALL SELECT max(number) FROM replaced)"),
      find_(connection_, absl::StrCat(kSelect, "WHERE key_hash=?")),
      replaced_(connection_,
                "SELECT number, status, created, finished, tenant, id, summary"
                " FROM replaced WHERE key_hash=? ORDER BY number DESC"),
      history_(connection_,
               "SELECT events FROM history WHERE number=? ORDER BY chunk"),
      first_chunk_(connection_,
                   "SELECT events FROM history WHERE number=?"
                   " ORDER BY chunk LIMIT 1"),
      last_chunk_(connection_,
                  "SELECT events FROM history WHERE number=?"
                  " ORDER BY chunk DESC LIMIT 1"),
      rows_after_(connection_,
                  absl::StrCat(kSelect, "WHERE number>? ORDER BY number")),
      finished_at_(connection_, absl::StrCat(kSelect,
                                             "INDEXED BY instance_finished"
                                             " WHERE finished=? AND number>?"
                                             " ORDER BY number")),
      finished_after_(connection_,
                      absl::StrCat(kSelect,
                                   "INDEXED BY instance_finished"
                                   " WHERE finished>=? AND finished<=?"
                                   " ORDER BY finished, number")),
      summary_(connection_, "SELECT summary FROM instance WHERE number=?"),
      request_(connection_,
               "SELECT id, receipt FROM request"
               " WHERE request_hash=? AND tenant=? AND request=?"),
      setting_(connection_, "SELECT value FROM setting WHERE name=?") {}

absl::StatusOr<InstanceRow> SqliteReader::Row(const SqliteRows& rows) {
  // Begun while `rows` is on, it sees the same moment of the file.
  SqliteRows summary = summary_.Start(rows.Number(0));
  InstanceRow row = RowWithoutSummary(rows);
  if (summary.Next()) row.summary = summary.String(0);
  if (!summary.status().ok()) return summary.status();
  return row;
}

absl::Status SqliteReader::ReadOpen(
    absl::FunctionRef<void(OpenInstance instance)> each) {
  // All four are one moment: the first that is stepped sets it for the others.
  SqliteRows rows = open_instances_.Start();
  Parts<MessageRow> messages(all_messages_, [](const SqliteRows& r) {
    return MessageRow{r.Number(0), r.Number(1), r.String(2), r.String(3)};
  });
  Parts<TimerRow> timers(all_timers_, [](const SqliteRows& r) {
    return TimerRow{r.Number(0), r.Number(1), r.Number(2)};
  });
  Parts<TaskRow> tasks(all_tasks_, [](const SqliteRows& r) {
    return TaskRow{r.Number(0), r.Number(1), r.String(2)};
  });
  while (rows.Next()) {
    const InstanceNumber number = rows.Number(0);
    OpenInstance open;
    open.row = {.number = number,
                .tenant = rows.String(3),
                .id = rows.String(4),
                .status = static_cast<int32_t>(rows.Number(1)),
                .created = rows.Number(2),
                .finished = std::nullopt,
                .summary = rows.String(5)};
    open.messages = messages.Of(number);
    open.timers = timers.Of(number);
    open.tasks = tasks.Of(number);
    for (const absl::Status* status :
         {&messages.status(), &timers.status(), &tasks.status()}) {
      if (!status->ok()) return *status;
    }
    each(std::move(open));
  }
  return rows.status();
}

absl::StatusOr<InstanceNumber> SqliteReader::ReadLastNumber() {
  SqliteRows rows = last_number_.Start();
  const InstanceNumber last = rows.Next() ? rows.Number(0) : 0;
  if (!rows.status().ok()) return rows.status();
  return last;
}

absl::StatusOr<std::optional<InstanceRow>> SqliteReader::Find(
    std::string_view tenant, std::string_view id) {
  SqliteRows rows = find_.Start(SqliteKeyHash(tenant, id));
  while (rows.Next()) {
    if (rows.Bytes(4) != tenant || rows.Bytes(5) != id) continue;
    absl::StatusOr<InstanceRow> row = Row(rows);
    if (!row.ok()) return row.status();
    return *std::move(row);
  }
  if (!rows.status().ok()) return rows.status();
  return std::nullopt;
}

absl::StatusOr<std::vector<InstanceRow>> SqliteReader::ReadReplaced(
    std::string_view tenant, std::string_view id) {
  std::vector<InstanceRow> runs;
  SqliteRows rows = replaced_.Start(SqliteKeyHash(tenant, id));
  while (rows.Next()) {
    if (rows.Bytes(4) != tenant || rows.Bytes(5) != id) continue;
    runs.push_back(RowWithoutSummary(rows));
    runs.back().summary = rows.String(6);
  }
  if (!rows.status().ok()) return rows.status();
  return runs;
}

absl::StatusOr<std::vector<std::string>> SqliteReader::ReadHistory(
    InstanceNumber number) {
  std::vector<std::string> chunks;
  SqliteRows rows = history_.Start(number);
  while (rows.Next()) chunks.push_back(rows.String(0));
  if (!rows.status().ok()) return rows.status();
  return chunks;
}

absl::StatusOr<HistoryEnds> SqliteReader::ReadHistoryEnds(
    InstanceNumber number) {
  HistoryEnds ends;
  SqliteRows first = first_chunk_.Start(number);
  if (first.Next()) {
    ends.first = first.String(0);
    SqliteRows last = last_chunk_.Start(number);
    if (last.Next()) ends.last = last.String(0);
    if (!last.status().ok()) return last.status();
  }
  if (!first.status().ok()) return first.status();
  return ends;
}

template <typename Conditions, typename Page, typename At>
absl::StatusOr<bool> SqliteReader::Fill(const Conditions& conditions,
                                        SqliteRows& rows, Limit& limit, At at,
                                        Page& page) {
  while (rows.Next()) {
    if (Matches(conditions, View(rows))) {
      absl::StatusOr<InstanceRow> row = Row(rows);
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

absl::StatusOr<RowPage> SqliteReader::Query(const RowQuery& query) {
  RowPage page;
  Limit limit(clock_);
  SqliteRows rows = rows_after_.Start(query.after);
  const auto done = Fill(
      query, rows, limit, [](const SqliteRows& r) { return r.Number(0); },
      page);
  if (!done.ok()) return done.status();
  return page;
}

absl::StatusOr<FinishedPage> SqliteReader::ListFinished(
    const FinishedQuery& query) {
  FinishedPage page;
  Limit limit(clock_);
  const auto at = [](const SqliteRows& r) {
    return Position{r.Number(3), r.Number(0)};
  };
  constexpr StoredTime kFirst = std::numeric_limits<StoredTime>::min();
  constexpr StoredTime kLast = std::numeric_limits<StoredTime>::max();
  StoredTime from = query.finished_from.value_or(kFirst);
  const StoredTime to = query.finished_to.value_or(kLast);

  // First the rest of those that finished at the same time as the last one.
  if (query.after && query.after->finished >= from) {
    SqliteRows rows =
        finished_at_.Start(query.after->finished, query.after->number);
    const auto done = Fill(query, rows, limit, at, page);
    if (!done.ok()) return done.status();
    if (*done || query.after->finished == kLast) return page;
    from = query.after->finished + 1;
  }
  SqliteRows rows = finished_after_.Start(from, to);
  const auto done = Fill(query, rows, limit, at, page);
  if (!done.ok()) return done.status();
  return page;
}

absl::StatusOr<std::optional<RequestRow>> SqliteReader::FindRequest(
    std::string_view tenant, std::string_view request) {
  SqliteRows rows =
      request_.Start(SqliteKeyHash(tenant, request), tenant, request);
  if (rows.Next()) {
    return RequestRow{std::string(tenant), std::string(request), rows.String(0),
                      rows.String(1)};
  }
  if (!rows.status().ok()) return rows.status();
  return std::nullopt;
}

absl::StatusOr<std::optional<std::string>> SqliteReader::ReadSetting(
    std::string_view name) {
  SqliteRows rows = setting_.Start(name);
  if (rows.Next()) return rows.String(0);
  if (!rows.status().ok()) return rows.status();
  return std::nullopt;
}

}  // namespace leasehold
