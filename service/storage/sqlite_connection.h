// SqliteConnection, SqliteStatement, SqliteRows: SQLite with our statuses.
//
//   SqliteStatement find(connection, "SELECT id FROM instance WHERE number=?");
//   SqliteRows rows = find.Start(number);
//   while (rows.Next()) Use(rows.Bytes(0));
//   if (!rows.status().ok()) ...
//
// All strings are bound and read as blobs: any bytes, including NULs.
//
// Statements may use row_sum(value, ...): the checksum of a row, 64 bits over
// its values and their types. It is part of the schema (sqlite_schema.h). And
// bytes_gone(bytes, whole): true; the connection adds up what it is told. And
// run_moved(tenant, status, other): true; the connection notes that an instance
// has another status now, or none.
//
// SQLite's errors become one of three statuses: DataLoss (the file is damaged),
// Unavailable (it cannot be read or written now), FailedPrecondition (it is not
// one of our files). The message names the file.
//
// Thread-safety: one thread at a time.   Lifetime: a connection outlives its
// statements, a statement its rows.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_CONNECTION_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_CONNECTION_H_

#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace leasehold {

class SqliteConnection {
 public:
  // kUnchanging: reads a file that nobody writes, and that has no log; leaves
  // no file beside it.
  enum class Access { kWrite, kReadOnly, kUnchanging };

  // Opens the file; kWrite creates it if it is missing. `vfs`: empty is the
  // system's default. status() has the result.
  SqliteConnection(std::string path, const std::string& vfs, Access access);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // The first failure of opening it or of preparing one of its statements.
  const absl::Status& status() const { return status_; }
  const std::string& path() const { return path_; }

  // Runs statements and ignores their results.
  absl::Status Run(const std::string& sql);
  // The first column of the first row; empty or 0 if there is no row.
  absl::StatusOr<std::string> Ask(const std::string& sql);
  absl::StatusOr<int64_t> AskNumber(const std::string& sql);

  // Runs `body`, and interrupts its statements on this connection as soon as
  // `stop` returns true; an interrupted one fails. Returns whether it stopped.
  bool StopWhen(absl::FunctionRef<bool()> stop, absl::FunctionRef<void()> body);

  // What statements have said through bytes_gone.
  struct Gone {
    int64_t bytes = 0;
    bool damaged = false;  // One was not whole.
  };
  // All since the last call.
  Gone TakeGone() { return std::exchange(gone_, {}); }

  // What they have said through run_moved, but for what has not changed.
  struct Move {
    std::string tenant;
    int32_t from = 0;
    std::optional<int32_t> to;
  };
  // All since the last call.
  std::vector<Move> TakeMoves() { return std::exchange(moves_, {}); }

  // A status saying that the file is damaged: `how`.
  absl::Status Damaged(const std::string& how) const;

  // Copies the whole file, as the transaction of this connection sees it, over
  // the contents of `to`. Asks `more` after every few megabytes, with the bytes
  // that are left; false ends it, and `to` is of no use. Returns whether all
  // was copied. The message of an error names the file that it is about.
  // REQUIRES: the transaction has read something; `to` has none.
  absl::StatusOr<bool> CopyTo(SqliteConnection& to,
                              absl::FunctionRef<bool(int64_t bytes_left)> more);

  // From now on only Checkpoint copies the log into the file, never a commit.
  // log_pages says how many pages the last commit has left in the log.
  void TakeCheckpoints();
  int log_pages() const { return log_pages_; }
  // Copies as much as readers allow. After a failure, the next call tries
  // again.
  void Checkpoint();

 private:
  friend class SqliteStatement;
  friend class SqliteRows;

  // The status for a result code that was just returned.
  absl::Status Failure(int code) const;
  void KeepFirst(absl::Status status);

  const std::string path_;
  sqlite3* db_ = nullptr;
  absl::Status status_;
  int log_pages_ = 0;
  Gone gone_;
  std::vector<Move> moves_;
};

// The rows of one run of a statement. Ends the run when destroyed.
class SqliteRows {
 public:
  ~SqliteRows();
  SqliteRows(const SqliteRows&) = delete;
  SqliteRows& operator=(const SqliteRows&) = delete;

  // Moves to the next row. False: there is none, or status() has an error.
  bool Next();
  const absl::Status& status() const { return status_; }

  // Columns of the current row. The result of Bytes is valid until Next.
  int64_t Number(int column) const;
  std::optional<int64_t> NumberOrNull(int column) const;
  std::string_view Bytes(int column) const;
  std::string String(int column) const { return std::string(Bytes(column)); }

 private:
  friend class SqliteStatement;
  SqliteRows(SqliteConnection& connection, sqlite3_stmt* statement)
      : connection_(connection), statement_(statement) {}

  SqliteConnection& connection_;
  sqlite3_stmt* const statement_;  // nullptr: it was never prepared.
  absl::Status status_;
};

class SqliteStatement {
 public:
  // Prepares the statement; connection.status() has a failure.
  SqliteStatement(SqliteConnection& connection, std::string_view sql);
  ~SqliteStatement();
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  // Begins a run with these parameters. Views must live until it ends.
  // REQUIRES: no other run of this statement is active.
  template <typename... Values>
  [[nodiscard]] SqliteRows Start(const Values&... values) {
    int index = 0;
    (Bind(++index, values), ...);
    return SqliteRows(connection_, statement_);
  }

  // Runs the statement and ignores its rows.
  template <typename... Values>
  absl::Status Run(const Values&... values) {
    SqliteRows rows = Start(values...);
    while (rows.Next()) {
    }
    return rows.status();
  }

  // How many rows the connection's last run of any statement changed.
  int64_t changed() const;

 private:
  void Bind(int index, int64_t value);
  void Bind(int index, std::optional<int64_t> value);
  void Bind(int index, std::string_view value);

  SqliteConnection& connection_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_CONNECTION_H_
