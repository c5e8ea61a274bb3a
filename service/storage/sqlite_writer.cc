#include "service/storage/sqlite_writer.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "service/storage/sqlite_schema.h"
#include "service/storage/sqlite_writer_sql.h"

namespace leasehold {

// Rows are added only to an instance that exists, and messages, timers and
// tasks only to an open one: otherwise late ones would stay forever.
SqliteWriter::SqliteWriter(SqliteConnection& c)
    : connection_(c),
      tenants_(c),
      run_counts_(c),
      entities_(c, tenants_),
      calls_(c),
      begin_(c, "BEGIN IMMEDIATE"),
      commit_(c, "COMMIT"),
      find_key_(c, "SELECT number, tenant, id FROM instance WHERE key_hash=?"),
      find_replaced_(c,
                     "SELECT number, tenant, id FROM replaced"
                     " WHERE key_hash=? ORDER BY number DESC"),
      key_of_(c,
              "SELECT key_hash, tenant, id FROM instance"
              " WHERE number=?"),
      is_replaced_(c, "SELECT 1 FROM replaced WHERE number=?"),
      put_instance_(
          c,
          "INSERT INTO instance (number, key_hash, status, created,"
          " finished, tenant, id, summary, sum)"
          " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,"
          " row_sum(?1,?2,?3,?4,?5,?6,?7,?8)) ON CONFLICT DO NOTHING"),
      update_open_(
          c,
          absl::StrCat(
              "UPDATE instance SET status=?2, summary=?3,"
              " sum=row_sum(number,key_hash,?2,created,finished,tenant,id,?3)"
              " WHERE number=?1 AND ",
              IfOpen(CountedUpdateSql()))),
      update_any_(c, absl::StrCat(kUpdateSql, CountedUpdateSql())),
      update_finish_(c, absl::StrCat(kUpdateSql, IfOpen(CountedUpdateSql()))),
      finish_(
          c, absl::StrCat(
                 "UPDATE instance SET status=?2, finished=?3,"
                 " sum=row_sum(number,key_hash,?2,created,?3,tenant,id,summary)"
                 " WHERE number=?1 AND ",
                 IfOpen(MovedSql("?2")))),
      append_last_(c,
                   "INSERT INTO history SELECT ?1, next, ?2,"
                   " row_sum(?1, next, ?2) FROM"
                   " (SELECT coalesce(max(chunk)+1, 0) AS next FROM history"
                   " WHERE number=?1)"),
      append_history_(c,
                      "INSERT INTO history"
                      " SELECT ?1,?2,?3,row_sum(?1,?2,?3)"
                      " WHERE EXISTS (SELECT 1 FROM instance WHERE number=?1)"
                      " ON CONFLICT DO NOTHING"),
      replace_history_(
          c, absl::StrCat("UPDATE history SET events=?3, sum=row_sum(?1,?2,?3)"
                          " WHERE number=?1 AND chunk=?2"
                          " AND iif(EXISTS (SELECT 1 FROM instance"
                          " WHERE number=?1),",
                          ChangedSql("events"), ",0)")),
      put_message_(c, PutSql("message", "?1,?2,?3,?4")),
      replace_message_(
          c, ReplaceSql("message",
                        "execution=?3, event=?4, sum=row_sum(?1,?2,?3,?4)",
                        "execution,event")),
      put_timer_(c, PutSql("timer", "?1,?2,?3")),
      replace_timer_(c,
                     ReplaceSql("timer", "due=?3, sum=row_sum(?1,?2,?3)", "")),
      put_task_(c, PutSql("task", "?1,?2,?3")),
      replace_task_(
          c, ReplaceSql("task", "task=?3, sum=row_sum(?1,?2,?3)", "task")),
      put_replaced_(c,
                    "INSERT INTO replaced (number, key_hash, status, created,"
                    " finished, tenant, id, summary, sum)"
                    " SELECT number, key_hash, status, created,"
                    " finished, tenant, id, summary, sum"
                    " FROM instance WHERE number=?"),
      put_request_(c,
                   "INSERT INTO request (request_hash, key_hash, tenant,"
                   " request, id, receipt, sum) VALUES (?1,?2,?3,?4,?5,?6,"
                   " row_sum(?1,?2,?3,?4,?5,?6))"),
      put_setting_(c,
                   "INSERT OR REPLACE INTO setting"
                   " VALUES (?1,?2,row_sum(?1,?2))"),
      take_messages_(
          c, TakeSql("message", "number=? AND sequence<=?", "execution,event")),
      drop_timer_(c, TakeSql("timer", "number=? AND sequence=?", "")),
      drop_task_(c, TakeSql("task", "number=? AND sequence=?", "task")),
      drop_request_(c, EraseRequestSql("request_hash", "request")),
      clear_history_(
          c, absl::StrCat("DELETE FROM history WHERE number=?1 AND"
                          " iif(EXISTS (SELECT 1 FROM instance"
                          " WHERE number=?1),",
                          GoneSql("events", "number,chunk,events"), ",0)")),
      erase_open_(c, absl::StrCat("DELETE FROM instance WHERE number=? AND ",
                                  IfOpen(CountedEraseSql()))),
      erase_instance_(c,
                      absl::StrCat("DELETE FROM instance WHERE number=? AND ",
                                   CountedEraseSql())),
      erase_history_(
          c, EraseSql("history", "number=?", "events", "number,chunk,events")),
      erase_messages_(c, EraseSql("message", "number=?", "execution,event",
                                  "number,sequence,execution,event")),
      erase_timers_(c,
                    EraseSql("timer", "number=?", "", "number,sequence,due")),
      erase_tasks_(
          c, EraseSql("task", "number=?", "task", "number,sequence,task")),
      erase_replaced_(c, EraseSql("replaced", "number=?", kRunTexts, kRunSum)),
      erase_requests_(c, EraseRequestSql("key_hash", "id")),
      open_of_tenant_(c,
                      "SELECT number FROM instance"
                      " WHERE finished IS NULL AND tenant=?"),
      runs_of_tenant_(c,
                      "SELECT number FROM instance WHERE tenant=?1"
                      " UNION ALL SELECT number FROM replaced WHERE tenant=?1"
                      " ORDER BY number"),
      erase_requests_of_tenant_(c, "DELETE FROM request WHERE tenant=?"),
      put_outbox_(c,
                  "INSERT INTO outbox VALUES (?1,?2,?3,?4,row_sum(?1,?2,?3,?4))"
                  " ON CONFLICT DO NOTHING"),
      replace_outbox_(c,
                      "INSERT OR REPLACE INTO outbox"
                      " VALUES (?1,?2,?3,?4,row_sum(?1,?2,?3,?4))"),
      take_outbox_(c, "DELETE FROM outbox WHERE source=? AND ordinal=?"),
      write_partition_(c,
                       "UPDATE partition SET epoch=?2, generation=?3,"
                       " sum=row_sum(?1,?2,?3) WHERE id=?1"),
      write_ledger_(c,
                    "UPDATE ledger SET commits=?1, instances=?2, open=?3,"
                    " messages=?4, timers=?5, tasks=?6, outbox=?7,"
                    " entities=?8, awake=?9, operations=?10,"
                    " sum=row_sum(line,?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)"
                    " WHERE line=1") {
  SqliteStatement read(c,
                       "SELECT commits, instances, open, messages, timers,"
                       " tasks, outbox, entities, awake, operations"
                       " FROM ledger");
  SqliteRows rows = read.Start();
  if (rows.Next()) {
    ledger_ = {.commits = rows.Number(0),
               .instances = rows.Number(1),
               .open = rows.Number(2),
               .messages = rows.Number(3),
               .timers = rows.Number(4),
               .tasks = rows.Number(5),
               .outbox = rows.Number(6)};
    entities_.set_counts({.entities = rows.Number(7),
                          .awake = rows.Number(8),
                          .operations = rows.Number(9)});
  }
  SqliteStatement partition(
      c,
      "SELECT epoch, generation, sum=row_sum(id,epoch,generation)"
      " FROM partition WHERE id=?");
  SqliteRows row = partition.Start(int64_t{kOnlyPartition});
  if (!row.Next() || row.Number(2) == 0) {
    // A wrong epoch would let a writer commit that was replaced.
    if (row.status().ok()) {
      damage_ = c.Damaged("the row of its partition is missing or damaged");
    }
    return;
  }
  epoch_ = row.Number(0);
  generation_ = row.Number(1);
}

CommitResult SqliteWriter::Transact(absl::FunctionRef<absl::Status()> make) {
  absl::Status status = begin_.Run();
  if (status.ok()) status = make();
  const bool ends = status.ok();
  if (ends) status = commit_.Run();
  if (status.ok()) return CommitResult::Done();
  // The original failure matters, not the result of the rollback.
  connection_.Run("ROLLBACK").IgnoreError();
  // The log has the end of a transaction only if COMMIT has written it.
  return ends ? CommitResult::Unknown(std::move(status))
              : CommitResult::Refused(std::move(status));
}

absl::StatusOr<OpenedPartition> SqliteWriter::OpenPartition(
    int64_t generation_min) {
  generation_ =
      epoch_ == 0 ? generation_min
                  : std::max(generation_min, generation_ + kGenerationsPerOpen);
  ++epoch_;
  const CommitResult result = Transact([this] {
    return write_partition_.Run(int64_t{kOnlyPartition}, epoch_, generation_);
  });
  if (!result.done()) return result.status();
  return OpenedPartition{{kOnlyPartition, epoch_}, generation_};
}

CommitResult SqliteWriter::Commit(absl::Span<const Change> changes) {
  if (changes.empty()) return CommitResult::Done();
  std::vector<OutboxKey> gone;
  CommitResult result = Transact([&] { return ApplyAll(changes, gone); });
  if (gone.empty() || !result.done()) return result;
  return CommitResult::Done(std::move(gone));
}

absl::Status SqliteWriter::ApplyAll(absl::Span<const Change> changes,
                                    std::vector<OutboxKey>& gone) {
  for (size_t i = 0; i < changes.size(); ++i) {
    absl::Status status =
        std::visit([this](const auto& c) { return Apply(c); }, changes[i]);
    if (!status.ok()) return status;
    const auto* take = std::get_if<TakeOutbox>(&changes[i]);
    if (take == nullptr || take_outbox_.changed() != 0) continue;
    gone.push_back(take->key);
    i += take->effects;
  }
  absl::Status counted = run_counts_.Write(tenants_.recounts());
  if (counted.ok()) counted = tenants_.Write();
  if (!counted.ok()) return counted;
  const Ledger& l = ledger_;
  const SqliteEntityWriter::Counts& e = entities_.counts();
  ++ledger_.commits;
  return write_ledger_.Run(l.commits, l.instances, l.open, l.messages, l.timers,
                           l.tasks, l.outbox, e.entities, e.awake,
                           e.operations);
}

absl::Status SqliteWriter::CommitNothing() {
  // Setting the version writes the header of the file, even if it is unchanged.
  return connection_.Run(
      absl::StrCat("PRAGMA user_version = ", SqliteMigrations().size()));
}

absl::Status SqliteWriter::Apply(const PutRun& change) {
  const RunRow& row = change.row;
  const int64_t hash = SqliteKeyHash(row.tenant, row.id);
  const auto same_key = FindKey(find_key_, hash, row.tenant, row.id);
  if (!same_key.ok()) return same_key.status();
  absl::Status done = Insert(row, hash);
  if (!done.ok() || same_key->empty() || same_key->front() == row.number) {
    return done;
  }
  return Replace(same_key->front(), hash, row);
}

absl::Status SqliteWriter::Insert(const RunRow& row, int64_t hash) {
  const auto put = [&] {
    absl::Status done =
        put_instance_.Run(row.number, hash, int64_t{row.status}, row.created,
                          row.finished, row.tenant, row.id, row.summary);
    if (!done.ok() || put_instance_.changed() == 0) return done;
    ++ledger_.instances;
    if (!row.finished) ++ledger_.open;
    tenants_.NoteRun(row.number, row.tenant);
    tenants_.Count(row.tenant, BytesOf(row));
    run_counts_.Add(row.tenant, row.status);
    return done;
  };
  bool taken = false;
  {
    SqliteRows rows = is_replaced_.Start(row.number);
    taken = rows.Next();
    if (!rows.status().ok()) return rows.status();
  }
  if (!taken) {
    absl::Status done = put();
    if (!done.ok() || put_instance_.changed() != 0) return done;
  }
  absl::Status done = EraseRows(row.number);
  return done.ok() ? put() : done;
}

absl::Status SqliteWriter::Replace(RunNumber number, int64_t hash,
                                   const RunRow& by) {
  absl::Status status = put_replaced_.Run(number);
  if (status.ok()) status = EraseRow(number);
  tenants_.Forget();
  if (status.ok()) status = EraseParts(number);
  if (status.ok()) {
    status = EraseReplaced(hash, by.tenant, by.id, kReplacedRunsMax);
  }
  tenants_.Count(by.tenant, 0);
  return status;
}

absl::Status SqliteWriter::Apply(const UpdateRun& change) {
  const int64_t status = change.status;
  if (change.finished) {
    absl::Status done = Uncount(ledger_.open, update_finish_, change.number,
                                status, change.summary, change.finished);
    bool changed = update_finish_.changed() != 0;
    if (done.ok() && !changed) {
      done = update_any_.Run(change.number, status, change.summary,
                             change.finished);
      changed = update_any_.changed() != 0;
    }
    if (done.ok()) done = EraseParts(change.number);
    return done.ok() ? CountSummary(change, changed) : done;
  }
  // Naming the column `finished` would write its index; so first try without
  // it.
  absl::Status done = update_open_.Run(change.number, status, change.summary);
  if (!done.ok()) return done;
  if (update_open_.changed() != 0) return CountSummary(change, true);
  done =
      update_any_.Run(change.number, status, change.summary, change.finished);
  if (!done.ok()) return done;
  ledger_.open += update_any_.changed();
  return CountSummary(change, update_any_.changed() != 0);
}

absl::Status SqliteWriter::CountSummary(const UpdateRun& change, bool changed) {
  return tenants_.CountRun(
      change.number, changed ? static_cast<int64_t>(change.summary.size()) : 0);
}

absl::Status SqliteWriter::Apply(const FinishRun& change) {
  absl::Status done = Uncount(ledger_.open, finish_, change.number,
                              int64_t{change.status}, change.finished);
  if (!done.ok() || finish_.changed() == 0) return done;
  done = append_last_.Run(change.number, change.events);
  if (done.ok()) done = EraseParts(change.number);
  if (!done.ok()) return done;
  return tenants_.CountRun(change.number, BytesOf(change.events));
}

absl::Status SqliteWriter::Apply(const AppendHistory& change) {
  absl::Status done =
      append_history_.Run(change.number, change.chunk, change.events);
  if (!done.ok()) return done;
  if (append_history_.changed() != 0) {
    return tenants_.CountRun(change.number, BytesOf(change.events));
  }
  done = replace_history_.Run(change.number, change.chunk, change.events);
  if (!done.ok() || replace_history_.changed() == 0) return done;
  return tenants_.CountRun(change.number,
                           static_cast<int64_t>(change.events.size()));
}

absl::Status SqliteWriter::Apply(const ClearExecution& change) {
  absl::Status done = clear_history_.Run(change.number);
  if (done.ok()) done = Uncount(ledger_.timers, erase_timers_, change.number);
  if (done.ok()) done = Uncount(ledger_.tasks, erase_tasks_, change.number);
  return done.ok() ? tenants_.CountRun(change.number, 0) : done;
}

absl::Status SqliteWriter::Apply(const PutMessage& change) {
  const MessageRow& row = change.row;
  return PutPart(ledger_.messages, BytesOf(row), put_message_, replace_message_,
                 row.number, row.sequence, row.execution, row.event);
}

absl::Status SqliteWriter::Apply(const TakeMessages& change) {
  return TakePart(ledger_.messages, take_messages_, change.number,
                  change.last_sequence);
}

absl::Status SqliteWriter::Apply(const PutTimer& change) {
  const TimerRow& row = change.row;
  return PutPart(ledger_.timers, BytesOf(row), put_timer_, replace_timer_,
                 row.number, row.sequence, row.due);
}

absl::Status SqliteWriter::Apply(const DropTimer& change) {
  return TakePart(ledger_.timers, drop_timer_, change.number, change.sequence);
}

absl::Status SqliteWriter::Apply(const PutTask& change) {
  const TaskRow& row = change.row;
  return PutPart(ledger_.tasks, BytesOf(row), put_task_, replace_task_,
                 row.number, row.sequence, row.task);
}

absl::Status SqliteWriter::Apply(const DropTask& change) {
  return TakePart(ledger_.tasks, drop_task_, change.number, change.sequence);
}

absl::Status SqliteWriter::Apply(const EraseRun& change) {
  int64_t hash = 0;
  std::string tenant;
  std::string id;
  {
    SqliteRows rows = key_of_.Start(change.number);
    if (!rows.Next()) return rows.status();
    hash = rows.Number(0);
    tenant = rows.String(1);
    id = rows.String(2);
  }
  absl::Status status = EraseReplaced(hash, tenant, id, 0);
  if (status.ok()) status = erase_requests_.Run(hash, tenant, id);
  return status.ok() ? EraseRows(change.number) : status;
}

absl::Status SqliteWriter::Apply(const EraseTenant& change) {
  const auto open = NumbersOf(open_of_tenant_, change.tenant);
  if (!open.ok()) return open.status();
  for (const RunNumber number : *open) {
    absl::Status done = EraseRow(number);
    if (done.ok()) done = erase_history_.Run(number);
    if (done.ok()) done = EraseParts(number);
    if (!done.ok()) return done;
  }
  // What is left has a row and a history, and nothing else.
  const auto runs = NumbersOf(runs_of_tenant_, change.tenant);
  if (!runs.ok()) return runs.status();
  for (const RunNumber number : *runs) {
    absl::Status done = Uncount(ledger_.instances, erase_instance_, number);
    if (done.ok()) done = RunEach(number, {&erase_replaced_, &erase_history_});
    if (!done.ok()) return done;
  }
  absl::Status done = erase_requests_of_tenant_.Run(change.tenant);
  if (done.ok()) done = calls_.Apply(change);
  if (done.ok()) done = entities_.Apply(change);
  tenants_.Clear(change.tenant);
  return done;
}

absl::Status SqliteWriter::Apply(const PutRequest& change) {
  const RequestRow& row = change.row;
  const int64_t hash = SqliteKeyHash(row.tenant, row.request);
  absl::Status done = drop_request_.Run(hash, row.tenant, row.request);
  if (!done.ok()) return done;
  done = put_request_.Run(hash, SqliteKeyHash(row.tenant, row.id), row.tenant,
                          row.request, row.id, row.receipt);
  tenants_.Count(row.tenant, BytesOf(row));
  return done;
}

absl::Status SqliteWriter::Apply(const PutSetting& change) {
  return put_setting_.Run(change.name, change.value);
}

absl::Status SqliteWriter::Apply(const PutOutbox& change) {
  const OutboxRow& row = change.row;
  return Put(ledger_.outbox, put_outbox_, replace_outbox_, int64_t{row.source},
             row.ordinal, int64_t{row.target}, row.body);
}

absl::Status SqliteWriter::Apply(const TakeOutbox& change) {
  return Uncount(ledger_.outbox, take_outbox_, int64_t{change.key.source},
                 change.key.ordinal);
}

absl::StatusOr<std::vector<RunNumber>> SqliteWriter::NumbersOf(
    SqliteStatement& statement, std::string_view tenant) {
  std::vector<RunNumber> numbers;
  SqliteRows rows = statement.Start(tenant);
  while (rows.Next()) numbers.push_back(rows.Number(0));
  if (!rows.status().ok()) return rows.status();
  return numbers;
}

absl::StatusOr<std::vector<RunNumber>> SqliteWriter::FindKey(
    SqliteStatement& statement, int64_t hash, std::string_view tenant,
    std::string_view id) {
  std::vector<RunNumber> numbers;
  SqliteRows rows = statement.Start(hash);
  while (rows.Next()) {
    if (rows.Bytes(1) != tenant || rows.Bytes(2) != id) continue;
    numbers.push_back(rows.Number(0));
  }
  if (!rows.status().ok()) return rows.status();
  return numbers;
}

absl::Status SqliteWriter::EraseReplaced(int64_t hash, std::string_view tenant,
                                         std::string_view id, size_t kept) {
  const auto runs = FindKey(find_replaced_, hash, tenant, id);
  if (!runs.ok()) return runs.status();
  for (size_t i = kept; i < runs->size(); ++i) {
    absl::Status status =
        RunEach((*runs)[i], {&erase_replaced_, &erase_history_});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SqliteWriter::EraseRows(RunNumber number) {
  absl::Status done = tenants_.LookUpRun(number);
  if (done.ok()) done = EraseRow(number);
  if (done.ok()) done = RunEach(number, {&erase_replaced_, &erase_history_});
  if (done.ok()) done = EraseParts(number);
  return done.ok() ? tenants_.CountRun(number, 0) : done;
}

absl::Status SqliteWriter::EraseRow(RunNumber number) {
  absl::Status done = Uncount(ledger_.open, erase_open_, number);
  if (done.ok() && erase_open_.changed() != 0) {
    --ledger_.instances;
    return done;
  }
  return done.ok() ? Uncount(ledger_.instances, erase_instance_, number) : done;
}

absl::Status SqliteWriter::EraseParts(RunNumber number) {
  absl::Status done = Uncount(ledger_.messages, erase_messages_, number);
  if (done.ok()) done = Uncount(ledger_.timers, erase_timers_, number);
  if (done.ok()) done = Uncount(ledger_.tasks, erase_tasks_, number);
  return done;
}

template <typename... Values>
absl::Status SqliteWriter::Uncount(int64_t& count, SqliteStatement& statement,
                                   const Values&... values) {
  absl::Status done = statement.Run(values...);
  if (done.ok()) count -= statement.changed();
  return done;
}

absl::Status SqliteWriter::TakePart(int64_t& count, SqliteStatement& take,
                                    RunNumber number, int64_t sequence) {
  absl::Status done = Uncount(count, take, number, sequence);
  return done.ok() ? tenants_.CountRun(number, 0) : done;
}

template <typename... Values>
absl::Status SqliteWriter::PutPart(int64_t& count, int64_t bytes,
                                   SqliteStatement& insert,
                                   SqliteStatement& replace, RunNumber number,
                                   const Values&... values) {
  absl::Status done = insert.Run(number, values...);
  if (!done.ok()) return done;
  if (insert.changed() != 0) {
    ++count;
    return tenants_.CountRun(number, bytes);
  }
  done = replace.Run(number, values...);
  if (!done.ok() || replace.changed() == 0) return done;
  return tenants_.CountRun(number, bytes - kRowBytes);
}

template <typename... Values>
absl::Status SqliteWriter::Put(int64_t& count, SqliteStatement& insert,
                               SqliteStatement& replace,
                               const Values&... values) {
  absl::Status done = insert.Run(values...);
  if (!done.ok()) return done;
  if (insert.changed() == 0) return replace.Run(values...);
  ++count;
  return done;
}

absl::Status SqliteWriter::RunEach(
    RunNumber number, std::initializer_list<SqliteStatement*> statements) {
  for (SqliteStatement* statement : statements) {
    // A failure may have rolled the transaction back: anything that ran now
    // would be a transaction of its own.
    absl::Status status = statement->Run(number);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace leasehold
