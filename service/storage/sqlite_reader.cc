#include "service/storage/sqlite_reader.h"

#include <limits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "service/storage/sqlite_schema.h"

namespace leasehold {
namespace {

constexpr absl::string_view kSelectChunk =
    "SELECT events, chunk, sum=row_sum(number,chunk,events) FROM history ";

absl::Status BadChunk(const SqliteRows& rows) {
  return absl::DataLossError(absl::StrCat("chunk ", rows.Number(1),
                                          " of its history has a wrong "
                                          "checksum"));
}

// The rows of a table of parts, in order of numbers, read in step with the
// instances, which have the same order.
template <typename Part>
class Parts {
 public:
  using Read = Part (*)(const SqliteRows& rows);

  // `sum`: the column that says whether the checksum matches.
  Parts(SqliteStatement& statement, Read read, int sum, absl::string_view what)
      : rows_(statement.Start()), read_(read), sum_(sum), what_(what) {}

  // The rows of this number; numbers increase from call to call. Describes rows
  // with a wrong checksum in `damage`.
  std::vector<Part> Of(RunNumber number, std::string& damage) {
    std::vector<Part> parts;
    if (!started_) Step();
    started_ = true;
    while (more_ && rows_.Number(0) < number) Step();
    while (more_ && rows_.Number(0) == number) {
      if (rows_.Number(sum_) == 0) {
        damage = absl::StrCat("its ", what_, " ", rows_.Number(1),
                              " has a wrong checksum");
      }
      parts.push_back(read_(rows_));
      Step();
    }
    return parts;
  }
  // Reads to the end of the table. Returns its number of rows.
  int64_t CountAll() {
    if (!started_) Step();
    started_ = true;
    while (more_) Step();
    return count_;
  }

  const absl::Status& status() const { return rows_.status(); }

 private:
  void Step() {
    more_ = rows_.Next();
    if (more_) ++count_;
  }

  SqliteRows rows_;
  const Read read_;
  const int sum_;
  const absl::string_view what_;
  bool started_ = false;
  bool more_ = false;
  int64_t count_ = 0;
};

// Separates the two kinds, keeping their order.
template <typename Small, typename Large>
void Split(std::vector<std::variant<Small, Large>> all,
           std::vector<Small>& small, std::vector<Large>& large) {
  for (std::variant<Small, Large>& one : all) {
    if (auto* as_small = std::get_if<Small>(&one)) {
      small.push_back(std::move(*as_small));
    } else {
      large.push_back(std::move(std::get<Large>(one)));
    }
  }
}

}  // namespace

SqliteReader::SqliteReader(const std::string& path, const std::string& vfs,
                           const Clock& clock)
    : connection_(path, vfs, SqliteConnection::Access::kReadOnly),
      runs_(connection_, clock),
      entities_(connection_, clock),
      calls_(connection_),
      open_instances_(
          connection_,
          absl::StrCat("SELECT number, status, created, tenant, id, summary,",
                       kRunIsWhole,
                       " FROM instance INDEXED BY instance_finished"
                       " WHERE finished IS NULL ORDER BY number")),
      all_messages_(connection_,
                    "SELECT number, sequence, execution, event,"
                    " sum=row_sum(number,sequence,execution,event) FROM message"
                    " ORDER BY number, sequence"),
      all_timers_(connection_,
                  "SELECT number, sequence, due,"
                  " sum=row_sum(number,sequence,due) FROM timer"
                  " ORDER BY number, sequence"),
      all_tasks_(connection_,
                 "SELECT number, sequence, task,"
                 " sum=row_sum(number,sequence,task) FROM task"
                 " ORDER BY number, sequence"),
      all_outbox_(connection_,
                  "SELECT source, ordinal, target, body,"
                  " sum=row_sum(source,ordinal,target,body) FROM outbox"
                  " ORDER BY source, ordinal"),
      last_number_(connection_,
                   "SELECT max(number) FROM"
                   " (SELECT max(number) AS number FROM instance"
                   " UNION ALL SELECT max(number) FROM replaced"
                   " UNION ALL SELECT max(number) FROM entity"
                   " WHERE number<>0)"),
      history_(connection_,
               absl::StrCat(kSelectChunk,
                            "WHERE number=? AND chunk>=? ORDER BY chunk")),
      messages_(connection_,
                "SELECT number, sequence, execution, event,"
                " sum=row_sum(number,sequence,execution,event) FROM message"
                " WHERE number=? AND sequence>=? AND sequence<=?"
                " ORDER BY sequence"),
      task_(connection_,
            "SELECT task, sum=row_sum(number,sequence,task) FROM task"
            " WHERE number=? AND sequence=?"),
      first_chunk_(connection_, absl::StrCat(kSelectChunk,
                                             "WHERE number=?"
                                             " ORDER BY chunk LIMIT 1")),
      last_chunk_(connection_, absl::StrCat(kSelectChunk,
                                            "WHERE number=?"
                                            " ORDER BY chunk DESC LIMIT 1")),
      request_(connection_,
               "SELECT id, receipt,"
               " sum=row_sum(request_hash,key_hash,tenant,request,id,receipt)"
               " FROM request"
               " WHERE request_hash=? AND tenant=? AND request=?"),
      setting_(connection_,
               "SELECT value, sum=row_sum(name,value) FROM setting"
               " WHERE name=?"),
      ledger_(connection_,
              "SELECT open, messages, timers, tasks, outbox,"
              " sum=row_sum(line,commits,instances,open,messages,timers,tasks,"
              "outbox,entities,awake,operations) FROM ledger") {}

absl::Status SqliteReader::ReadOpen(
    PartitionId partition, absl::FunctionRef<void(OpenRun instance)> each) {
  if (partition != kOnlyPartition) return absl::OkStatus();
  // All statements see one snapshot: the first that is stepped, and has not
  // reached its end, sets it for the others.
  SqliteRows ledger = ledger_.Start();
  if (!ledger.Next()) {
    return ledger.status().ok() ? connection_.Damaged("its ledger is missing")
                                : ledger.status();
  }
  SqliteRows rows = open_instances_.Start();
  // Only the beginning of a large one is read.
  using AnyMessage = std::variant<MessageRow, LargeMessage>;
  Parts<AnyMessage> messages(
      all_messages_,
      [](const SqliteRows& r) -> AnyMessage {
        if (r.Bytes(3).size() > kLargeMessageBytes) {
          return MakeLarge(r.Number(1), r.String(2), r.Bytes(3));
        }
        return MessageRow{r.Number(0), r.Number(1), r.String(2), r.String(3)};
      },
      4, "message");
  Parts<TimerRow> timers(
      all_timers_,
      [](const SqliteRows& r) {
        return TimerRow{r.Number(0), r.Number(1), r.Number(2)};
      },
      3, "timer");
  using AnyTask = std::variant<TaskRow, LargeTask>;
  Parts<AnyTask> tasks(
      all_tasks_,
      [](const SqliteRows& r) -> AnyTask {
        if (r.Bytes(2).size() > kLargeTaskBytes) {
          return MakeLarge(r.Number(1), r.Bytes(2));
        }
        return TaskRow{r.Number(0), r.Number(1), r.String(2)};
      },
      3, "activity");
  Counts counts;
  while (rows.Next()) {
    const RunNumber number = rows.Number(0);
    OpenRun open;
    open.row = {.number = number,
                .tenant = rows.String(3),
                .id = rows.String(4),
                .status = static_cast<int32_t>(rows.Number(1)),
                .created = rows.Number(2),
                .finished = std::nullopt,
                .summary = rows.String(5),
                .damaged = rows.Number(6) == 0};
    Split(messages.Of(number, open.damage), open.messages, open.large_messages);
    open.timers = timers.Of(number, open.damage);
    Split(tasks.Of(number, open.damage), open.tasks, open.large_tasks);
    for (const absl::Status* status :
         {&messages.status(), &timers.status(), &tasks.status()}) {
      if (!status->ok()) return *status;
    }
    ++counts.open;
    each(std::move(open));
  }
  if (!rows.status().ok()) return rows.status();
  counts.messages = messages.CountAll();
  counts.timers = timers.CountAll();
  counts.tasks = tasks.CountAll();
  for (const absl::Status* status :
       {&messages.status(), &timers.status(), &tasks.status()}) {
    if (!status->ok()) return *status;
  }
  return CompareWithLedger(ledger, counts);
}

absl::Status SqliteReader::CompareWithLedger(const SqliteRows& rows,
                                             const Counts& found) {
  if (rows.Number(5) == 0) {
    return connection_.Damaged("its ledger has a wrong checksum");
  }
  std::string missing;
  const auto compare = [&missing](absl::string_view what, int64_t there,
                                  int64_t should) {
    if (there == should) return;
    absl::StrAppend(&missing, missing.empty() ? "" : ", ", there, " ", what,
                    " found, ", should, " expected");
  };
  compare("open orchestrations", found.open, rows.Number(0));
  compare("messages", found.messages, rows.Number(1));
  compare("timers", found.timers, rows.Number(2));
  compare("activities", found.tasks, rows.Number(3));
  return missing.empty() ? absl::OkStatus() : MissingRows(missing);
}

absl::Status SqliteReader::MissingRows(const std::string& missing) {
  return connection_.Damaged(
      absl::StrCat(missing,
                   "; `leasehold-server check` reports what is left, and its "
                   "--accept lets the server continue with that"));
}

absl::StatusOr<std::vector<OutboxRow>> SqliteReader::ReadOutbox(
    PartitionId source) {
  // One snapshot, as in ReadOpen.
  SqliteRows ledger = ledger_.Start();
  if (!ledger.Next()) {
    return ledger.status().ok() ? connection_.Damaged("its ledger is missing")
                                : ledger.status();
  }
  std::vector<OutboxRow> found;
  int64_t count = 0;
  SqliteRows rows = all_outbox_.Start();
  for (; rows.Next(); ++count) {
    if (rows.Number(0) != source) continue;
    found.push_back({.source = source,
                     .ordinal = rows.Number(1),
                     .target = static_cast<PartitionId>(rows.Number(2)),
                     .body = rows.String(3),
                     .damaged = rows.Number(4) == 0});
  }
  if (!rows.status().ok()) return rows.status();
  if (ledger.Number(5) != 0 && count == ledger.Number(4)) return found;
  return MissingRows(absl::StrCat(count, " rows of the outbox found, ",
                                  ledger.Number(4), " expected"));
}

absl::StatusOr<RunNumber> SqliteReader::ReadLastNumber(PartitionId partition) {
  if (partition != kOnlyPartition) return 0;
  SqliteRows rows = last_number_.Start();
  const RunNumber last = rows.Next() ? rows.Number(0) : 0;
  if (!rows.status().ok()) return rows.status();
  return last;
}

absl::StatusOr<std::vector<std::string>> SqliteReader::ReadHistory(
    RunNumber number) {
  absl::StatusOr<HistoryPart> all =
      ReadHistoryPart(number, std::numeric_limits<int64_t>::min(),
                      std::numeric_limits<size_t>::max());
  if (!all.ok()) return all.status();
  return std::move(all->chunks);
}

absl::StatusOr<HistoryPart> SqliteReader::ReadHistoryPart(RunNumber number,
                                                          int64_t first,
                                                          size_t bytes_max) {
  HistoryPart part;
  size_t bytes = 0;
  SqliteRows rows = history_.Start(number, first);
  while (rows.Next()) {
    bytes += rows.Bytes(0).size();
    if (bytes > bytes_max && !part.chunks.empty()) {
      part.next = rows.Number(1);
      return part;
    }
    if (rows.Number(2) == 0) return BadChunk(rows);
    part.chunks.push_back(rows.String(0));
  }
  if (!rows.status().ok()) return rows.status();
  return part;
}

absl::StatusOr<std::vector<MessageRow>> SqliteReader::ReadMessages(
    RunNumber number, const MessageRange& range) {
  std::vector<MessageRow> messages;
  SqliteRows rows = messages_.Start(number, range.first, range.last);
  while (messages.size() < range.count_max && rows.Next()) {
    if (rows.Number(4) == 0) {
      return absl::DataLossError(absl::StrCat("its message ", rows.Number(1),
                                              " has a wrong checksum"));
    }
    messages.push_back(
        {number, rows.Number(1), rows.String(2), rows.String(3)});
  }
  if (!rows.status().ok()) return rows.status();
  return messages;
}

absl::StatusOr<std::optional<TaskRow>> SqliteReader::ReadTask(
    RunNumber number, int64_t sequence) {
  SqliteRows rows = task_.Start(number, sequence);
  if (rows.Next()) {
    if (rows.Number(1) == 0) {
      return absl::DataLossError(
          absl::StrCat("its activity ", sequence, " has a wrong checksum"));
    }
    return TaskRow{number, sequence, rows.String(0)};
  }
  if (!rows.status().ok()) return rows.status();
  return std::nullopt;
}

absl::StatusOr<HistoryEnds> SqliteReader::ReadHistoryEnds(RunNumber number) {
  HistoryEnds ends;
  SqliteRows first = first_chunk_.Start(number);
  if (first.Next()) {
    if (first.Number(2) == 0) return BadChunk(first);
    ends.first = first.String(0);
    SqliteRows last = last_chunk_.Start(number);
    if (last.Next()) {
      if (last.Number(2) == 0) return BadChunk(last);
      ends.last = last.String(0);
    }
    if (!last.status().ok()) return last.status();
  }
  if (!first.status().ok()) return first.status();
  return ends;
}

absl::StatusOr<std::optional<RequestRow>> SqliteReader::FindRequest(
    std::string_view tenant, std::string_view request) {
  SqliteRows rows =
      request_.Start(SqliteKeyHash(tenant, request), tenant, request);
  if (rows.Next()) {
    if (rows.Number(2) == 0) {
      return connection_.Damaged("the row of a request has a wrong checksum");
    }
    return RequestRow{std::string(tenant), std::string(request), rows.String(0),
                      rows.String(1)};
  }
  if (!rows.status().ok()) return rows.status();
  return std::nullopt;
}

absl::StatusOr<std::optional<std::string>> SqliteReader::ReadSetting(
    std::string_view name) {
  SqliteRows rows = setting_.Start(name);
  if (rows.Next()) {
    if (rows.Number(1) == 0) {
      return connection_.Damaged("the row of a setting has a wrong checksum");
    }
    return rows.String(0);
  }
  if (!rows.status().ok()) return rows.status();
  return std::nullopt;
}

}  // namespace leasehold
