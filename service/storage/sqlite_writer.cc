#include "service/storage/sqlite_writer.h"

#include <variant>

#include "absl/strings/str_cat.h"
#include "service/storage/sqlite_schema.h"

namespace leasehold {
// Rows are added only to an instance that exists, and messages, timers and
// tasks only to an open one: else those that come too late would stay for ever.
SqliteWriter::SqliteWriter(SqliteConnection& c)
    : connection_(c),
      begin_(c, "BEGIN IMMEDIATE"),
      commit_(c, "COMMIT"),
      find_key_(c, "SELECT number, tenant, id FROM instance WHERE key_hash=?"),
      put_instance_(c,
                    "INSERT INTO instance (number, key_hash, status, created,"
                    " finished, tenant, id, summary)"
                    " VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING"),
      update_open_(c,
                   "UPDATE instance SET status=?2, summary=?3"
                   " WHERE number=?1 AND finished IS NULL"),
      update_any_(c,
                  "UPDATE instance SET status=?2, summary=?3, finished=?4"
                  " WHERE number=?1"),
      append_history_(c,
                      "INSERT OR REPLACE INTO history SELECT ?1,?2,?3"
                      " WHERE EXISTS (SELECT 1 FROM instance WHERE number=?1)"),
      put_message_(c,
                   "INSERT OR REPLACE INTO message SELECT ?1,?2,?3,?4"
                   " WHERE EXISTS (SELECT 1 FROM instance"
                   " WHERE number=?1 AND finished IS NULL)"),
      put_timer_(c,
                 "INSERT OR REPLACE INTO timer SELECT ?1,?2,?3"
                 " WHERE EXISTS (SELECT 1 FROM instance"
                 " WHERE number=?1 AND finished IS NULL)"),
      put_task_(c,
                "INSERT OR REPLACE INTO task SELECT ?1,?2,?3"
                " WHERE EXISTS (SELECT 1 FROM instance"
                " WHERE number=?1 AND finished IS NULL)"),
      put_setting_(c, "INSERT OR REPLACE INTO setting VALUES (?,?)"),
      take_messages_(c, "DELETE FROM message WHERE number=? AND sequence<=?"),
      drop_timer_(c, "DELETE FROM timer WHERE number=? AND sequence=?"),
      drop_task_(c, "DELETE FROM task WHERE number=? AND sequence=?"),
      erase_instance_(c, "DELETE FROM instance WHERE number=?"),
      erase_history_(c, "DELETE FROM history WHERE number=?"),
      erase_messages_(c, "DELETE FROM message WHERE number=?"),
      erase_timers_(c, "DELETE FROM timer WHERE number=?"),
      erase_tasks_(c, "DELETE FROM task WHERE number=?") {}

absl::Status SqliteWriter::Commit(absl::Span<const Change> changes) {
  if (changes.empty()) return absl::OkStatus();
  absl::Status status = ApplyAll(changes);
  // What it failed with counts, not how the rolling back went.
  if (!status.ok()) connection_.Run("ROLLBACK").IgnoreError();
  return status;
}

absl::Status SqliteWriter::ApplyAll(absl::Span<const Change> changes) {
  absl::Status status = begin_.Run();
  for (const Change& change : changes) {
    if (!status.ok()) return status;
    status = std::visit([this](const auto& c) { return Apply(c); }, change);
  }
  return status.ok() ? commit_.Run() : status;
}

absl::Status SqliteWriter::CommitNothing() {
  // Setting the version writes the header of the file, the same as before too.
  return connection_.Run(
      absl::StrCat("PRAGMA user_version = ", SqliteMigrations().size()));
}

absl::Status SqliteWriter::Apply(const PutInstance& change) {
  const InstanceRow& row = change.row;
  const int64_t hash = SqliteKeyHash(row.tenant, row.id);
  std::optional<InstanceNumber> old;
  {
    SqliteRows rows = find_key_.Start(hash);
    while (!old && rows.Next()) {
      if (rows.Bytes(1) == row.tenant && rows.Bytes(2) == row.id) {
        old = rows.Number(0);
      }
    }
    if (!rows.status().ok()) return rows.status();
  }
  if (old) {
    absl::Status status = Apply(EraseInstance{*old});
    if (!status.ok()) return status;
  }
  const auto put = [&] {
    return put_instance_.Run(row.number, hash, int64_t{row.status}, row.created,
                             row.finished, row.tenant, row.id, row.summary);
  };
  absl::Status done = put();
  if (!done.ok() || put_instance_.changed() != 0) return done;
  done = Apply(EraseInstance{row.number});  // Another key had its number.
  return done.ok() ? put() : done;
}

absl::Status SqliteWriter::Apply(const UpdateInstance& change) {
  const int64_t status = change.status;
  if (change.finished) {
    absl::Status done =
        update_any_.Run(change.number, status, change.summary, change.finished);
    if (!done.ok()) return done;
    return RunEach(change.number,
                   {&erase_messages_, &erase_timers_, &erase_tasks_});
  }
  // Naming the column `finished` would write its index; so first without it.
  absl::Status done = update_open_.Run(change.number, status, change.summary);
  if (!done.ok() || update_open_.changed() != 0) return done;
  return update_any_.Run(change.number, status, change.summary,
                         change.finished);
}

absl::Status SqliteWriter::Apply(const AppendHistory& change) {
  return append_history_.Run(change.number, change.chunk, change.events);
}

absl::Status SqliteWriter::Apply(const ClearExecution& change) {
  return RunEach(change.number,
                 {&erase_history_, &erase_timers_, &erase_tasks_});
}

absl::Status SqliteWriter::Apply(const PutMessage& change) {
  const MessageRow& row = change.row;
  return put_message_.Run(row.number, row.sequence, row.execution, row.event);
}

absl::Status SqliteWriter::Apply(const TakeMessages& change) {
  return take_messages_.Run(change.number, change.last_sequence);
}

absl::Status SqliteWriter::Apply(const PutTimer& change) {
  const TimerRow& row = change.row;
  return put_timer_.Run(row.number, row.sequence, row.due);
}

absl::Status SqliteWriter::Apply(const DropTimer& change) {
  return drop_timer_.Run(change.number, change.sequence);
}

absl::Status SqliteWriter::Apply(const PutTask& change) {
  const TaskRow& row = change.row;
  return put_task_.Run(row.number, row.sequence, row.task);
}

absl::Status SqliteWriter::Apply(const DropTask& change) {
  return drop_task_.Run(change.number, change.sequence);
}

absl::Status SqliteWriter::Apply(const EraseInstance& change) {
  return RunEach(change.number,
                 {&erase_instance_, &erase_history_, &erase_messages_,
                  &erase_timers_, &erase_tasks_});
}

absl::Status SqliteWriter::Apply(const EraseEverything&) {
  return connection_.Run(
      "DELETE FROM instance; DELETE FROM history; DELETE FROM message;"
      "DELETE FROM timer; DELETE FROM task");
}

absl::Status SqliteWriter::Apply(const PutSetting& change) {
  return put_setting_.Run(change.name, change.value);
}

absl::Status SqliteWriter::RunEach(
    InstanceNumber number, std::initializer_list<SqliteStatement*> statements) {
  for (SqliteStatement* statement : statements) {
    // What failed may have rolled the transaction back: anything that ran now
    // would be a transaction of its own.
    absl::Status status = statement->Run(number);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace leasehold
