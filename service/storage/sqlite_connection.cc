#include "service/storage/sqlite_connection.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

// How long to wait for another program that looks at the file: nobody else
// should, and SQLite's own shell is brief.
constexpr int kBusyMs = 2000;

// Steps of SQLite's machine between two looks at whether to stop: some 0.1 ms.
constexpr int kStepsBetweenLooks = 10'000;

absl::Status DamagedFile(const std::string& path, absl::string_view how) {
  return absl::DataLossError(absl::StrCat(
      "\"", path, "\" is damaged (", how,
      "); restore it from a backup, or move the data directory away to begin "
      "with an empty one"));
}

absl::Status FromCode(int code, const std::string& path,
                      absl::string_view detail, int machine_error) {
  // What the machine said is worth more than what SQLite makes of it.
  const std::string why =
      machine_error == 0
          ? std::string(detail)
          : absl::StrCat(detail, ": ", std::strerror(machine_error));
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::UnavailableError(
          absl::StrCat("cannot write \"", path,
                       "\": the disk (or a quota on it) is full; free some "
                       "space"));
    case SQLITE_READONLY:
      return absl::UnavailableError(absl::StrCat(
          "cannot write \"", path, "\": it is read-only (", why, ")"));
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::UnavailableError(
          absl::StrCat("cannot open \"", path, "\": ", why));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return absl::UnavailableError(absl::StrCat("another program has \"", path,
                                                 "\" open and locked: ", why));
    case SQLITE_INTERRUPT:
      return absl::UnavailableError(
          absl::StrCat("reading \"", path, "\" was broken off"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    // Our statements are right for our tables: so these are not our tables.
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_FORMAT:
    case SQLITE_SCHEMA:
      return DamagedFile(path, detail);
    default:  // SQLITE_IOERR, SQLITE_NOMEM and whatever else may come.
      return absl::UnavailableError(absl::StrCat("cannot read or write \"",
                                                 path, "\": ", why, " (SQLite ",
                                                 code, ")"));
  }
}

}  // namespace

// ---- SqliteConnection -------------------------------------------------------

SqliteConnection::SqliteConnection(std::string path, const std::string& vfs,
                                   Access access)
    : path_(std::move(path)) {
  const int how = access == Access::kReadOnly
                      ? SQLITE_OPEN_READONLY
                      : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code =
      sqlite3_open_v2(path_.c_str(), &db_, how | SQLITE_OPEN_NOMUTEX,
                      vfs.empty() ? nullptr : vfs.c_str());
  if (code != SQLITE_OK) {
    KeepFirst(Failure(code));
    return;
  }
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_timeout(db_, kBusyMs);
}

SqliteConnection::~SqliteConnection() { sqlite3_close(db_); }

absl::Status SqliteConnection::Failure(int code) const {
  if (db_ == nullptr) return FromCode(code, path_, sqlite3_errstr(code), 0);
  const int primary = code & 0xff;
  const bool by_machine = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
  return FromCode(code, path_, sqlite3_errmsg(db_),
                  by_machine ? sqlite3_system_errno(db_) : 0);
}

absl::Status SqliteConnection::Damaged(const std::string& how) const {
  return DamagedFile(path_, how);
}

void SqliteConnection::KeepFirst(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
}

absl::Status SqliteConnection::Run(const std::string& sql) {
  if (!status_.ok()) return status_;
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Failure(code);
}

absl::StatusOr<std::string> SqliteConnection::Ask(const std::string& sql) {
  SqliteStatement statement(*this, sql);
  SqliteRows rows = statement.Start();
  std::string answer;
  if (rows.Next()) answer = rows.String(0);
  if (!rows.status().ok()) return rows.status();
  return answer;
}

absl::StatusOr<int64_t> SqliteConnection::AskNumber(const std::string& sql) {
  SqliteStatement statement(*this, sql);
  SqliteRows rows = statement.Start();
  int64_t answer = 0;
  if (rows.Next()) answer = rows.Number(0);
  if (!rows.status().ok()) return rows.status();
  return answer;
}

bool SqliteConnection::StopWhen(absl::FunctionRef<bool()> stop,
                                absl::FunctionRef<void()> body) {
  struct Watch {
    absl::FunctionRef<bool()> stop;
    bool stopped = false;
  } watch{stop};
  sqlite3_progress_handler(
      db_, kStepsBetweenLooks,
      [](void* context) {
        Watch& watch = *static_cast<Watch*>(context);
        if (!watch.stopped) watch.stopped = watch.stop();
        return watch.stopped ? 1 : 0;
      },
      &watch);
  body();
  sqlite3_progress_handler(db_, 0, nullptr, nullptr);
  return watch.stopped;
}

void SqliteConnection::Interrupt() {
  if (db_ != nullptr) sqlite3_interrupt(db_);
}

// ---- SqliteRows -------------------------------------------------------------

SqliteRows::~SqliteRows() {
  if (statement_ != nullptr) sqlite3_reset(statement_);
}

bool SqliteRows::Next() {
  if (statement_ == nullptr) {
    status_ = connection_.status();
    return false;
  }
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) status_ = connection_.Failure(code);
  return false;
}

int64_t SqliteRows::Number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::optional<int64_t> SqliteRows::NumberOrNull(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) {
    return std::nullopt;
  }
  return Number(column);
}

std::string_view SqliteRows::Bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<size_t>(size)};
}

// ---- SqliteStatement --------------------------------------------------------

SqliteStatement::SqliteStatement(SqliteConnection& connection,
                                 std::string_view sql)
    : connection_(connection) {
  if (!connection_.status().ok()) return;
  const int code = sqlite3_prepare_v3(
      connection_.db_, sql.data(), static_cast<int>(sql.size()),
      SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  if (code != SQLITE_OK) connection_.KeepFirst(connection_.Failure(code));
}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(statement_); }

int64_t SqliteStatement::changed() const {
  return sqlite3_changes64(connection_.db_);
}

void SqliteStatement::Bind(int index, int64_t value) {
  sqlite3_bind_int64(statement_, index, value);
}

void SqliteStatement::Bind(int index, std::optional<int64_t> value) {
  if (value) {
    sqlite3_bind_int64(statement_, index, *value);
  } else {
    sqlite3_bind_null(statement_, index);
  }
}

void SqliteStatement::Bind(int index, std::string_view value) {
  // A blob at nullptr would be NULL.
  const char* data = value.data() == nullptr ? "" : value.data();
  sqlite3_bind_blob64(statement_, index, data, value.size(), SQLITE_STATIC);
}

}  // namespace leasehold
