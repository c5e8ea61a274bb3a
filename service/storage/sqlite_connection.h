// SqliteConnection, SqliteStatement, SqliteRows: SQLite with our statuses.
//
//   SqliteStatement find(connection, "SELECT id FROM instance WHERE number=?");
//   SqliteRows rows = find.Start(number);
//   while (rows.Next()) Use(rows.Bytes(0));
//   if (!rows.status().ok()) ...
//
// All strings are bound and read as blobs: any bytes, NULs too.
//
// What SQLite reports becomes one of three: DataLoss (the file is damaged),
// Unavailable (it cannot be read or written now), FailedPrecondition (it is not
// a file for us). The message names the file.
//
// Thread-safety: one thread at a time, but for Interrupt.   Lifetime: a
// connection outlives its statements, a statement its rows.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_CONNECTION_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_CONNECTION_H_

#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace leasehold {

class SqliteConnection {
 public:
  enum class Access { kWrite, kReadOnly };

  // Opens the file; kWrite creates it if it is missing. `vfs`: empty is the
  // machine's own. status() says how it went.
  SqliteConnection(std::string path, const std::string& vfs, Access access);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // The first failure of opening it or of preparing one of its statements.
  const absl::Status& status() const { return status_; }
  const std::string& path() const { return path_; }

  // Runs statements whose results nobody wants.
  absl::Status Run(const std::string& sql);
  // The first column of the first row; empty or 0: there is no row.
  absl::StatusOr<std::string> Ask(const std::string& sql);
  absl::StatusOr<int64_t> AskNumber(const std::string& sql);

  // Runs `body`, and stops what it runs on this connection as soon as `stop`
  // says so; what is stopped fails. Returns whether it was stopped.
  bool StopWhen(absl::FunctionRef<bool()> stop, absl::FunctionRef<void()> body);

  // The status that says that the file is damaged: `how`.
  absl::Status Damaged(const std::string& how) const;

  // What runs now fails soon, with Unavailable. From any thread.
  void Interrupt();

 private:
  friend class SqliteStatement;
  friend class SqliteRows;

  // The status of a result code, now.
  absl::Status Failure(int code) const;
  void KeepFirst(absl::Status status);

  const std::string path_;
  sqlite3* db_ = nullptr;
  absl::Status status_;
};

// The rows of one run. Ends the run when it goes.
class SqliteRows {
 public:
  ~SqliteRows();
  SqliteRows(const SqliteRows&) = delete;
  SqliteRows& operator=(const SqliteRows&) = delete;

  // Goes to the next row. False: there is none, or status() says why not.
  bool Next();
  const absl::Status& status() const { return status_; }

  // Columns of the present row. What Bytes views is valid until Next.
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
  // Prepares it; a failure stands in connection.status().
  SqliteStatement(SqliteConnection& connection, std::string_view sql);
  ~SqliteStatement();
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  // Begins a run with these parameters. Views must live until it ends.
  // REQUIRES: no other run of this statement is on.
  template <typename... Values>
  [[nodiscard]] SqliteRows Start(const Values&... values) {
    int index = 0;
    (Bind(++index, values), ...);
    return SqliteRows(connection_, statement_);
  }

  // A run whose rows nobody wants.
  template <typename... Values>
  absl::Status Run(const Values&... values) {
    SqliteRows rows = Start(values...);
    while (rows.Next()) {
    }
    return rows.status();
  }

  // How many rows the last run of any statement of the connection changed.
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
