#include "service/storage/sqlite_connection.h"

#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

// How long to wait for another program that has the file open: none should, and
// SQLite's own shell is brief.
constexpr int kBusyMs = 2000;

// SQLite virtual machine steps between two checks of `stop`: some 0.1 ms.
constexpr int kStepsBetweenLooks = 10'000;

// Pages between two questions whether to go on: some milliseconds.
constexpr int kPagesAtOnce = 256;
constexpr int64_t kPageBytes = 4096;

absl::Status DamagedFile(const std::string& path, absl::string_view how) {
  return absl::DataLossError(absl::StrCat(
      "\"", path, "\" is damaged (", how,
      "); restore it from a backup, or move the data directory away to begin "
      "with an empty one"));
}

// ---- The checksum of a row --------------------------------------------------
//
// Each word of eight bytes is xored in and multiplied by an odd number: so two
// rows that differ in only one word never have the same checksum.

constexpr uint64_t kSumFactor = 0x9fb21c651e98df25;

uint64_t AddWord(uint64_t sum, uint64_t word) {
  sum = (sum ^ word) * kSumFactor;
  return sum ^ (sum >> 32);
}

uint64_t AddBytes(uint64_t sum, const unsigned char* bytes, size_t size) {
  sum = AddWord(sum, size);
  uint64_t word = 0;
  for (; size >= sizeof(word); bytes += sizeof(word), size -= sizeof(word)) {
    std::memcpy(&word, bytes, sizeof(word));
    sum = AddWord(sum, word);
  }
  if (size == 0) return sum;
  word = 0;
  std::memcpy(&word, bytes, size);
  return AddWord(sum, word);
}

void RowSum(sqlite3_context* context, int count, sqlite3_value** values) {
  uint64_t sum = 0;
  for (int i = 0; i < count; ++i) {
    sqlite3_value* value = values[i];
    const int type = sqlite3_value_type(value);
    sum = AddWord(sum, static_cast<uint64_t>(type));
    if (type == SQLITE_INTEGER) {
      sum = AddWord(sum, static_cast<uint64_t>(sqlite3_value_int64(value)));
    } else if (type != SQLITE_NULL) {
      const void* bytes = sqlite3_value_blob(value);
      sum = AddBytes(sum, static_cast<const unsigned char*>(bytes),
                     static_cast<size_t>(sqlite3_value_bytes(value)));
    }
  }
  sqlite3_result_int64(context, static_cast<sqlite3_int64>(sum));
}

void BytesGone(sqlite3_context* context, int, sqlite3_value** values) {
  auto& gone =
      *static_cast<SqliteConnection::Gone*>(sqlite3_user_data(context));
  gone.bytes += sqlite3_value_int64(values[0]);
  if (sqlite3_value_int(values[1]) == 0) gone.damaged = true;
  sqlite3_result_int(context, 1);
}

void RunMoved(sqlite3_context* context, int, sqlite3_value** values) {
  sqlite3_result_int(context, 1);
  const int from = sqlite3_value_int(values[1]);
  const bool goes_on = sqlite3_value_type(values[2]) != SQLITE_NULL;
  const int to = sqlite3_value_int(values[2]);
  if (goes_on && to == from) return;
  auto& moves = *static_cast<std::vector<SqliteConnection::Move>*>(
      sqlite3_user_data(context));
  const auto* tenant = static_cast<const char*>(sqlite3_value_blob(values[0]));
  const auto size = static_cast<size_t>(sqlite3_value_bytes(values[0]));
  moves.push_back({.tenant = std::string(tenant == nullptr ? "" : tenant, size),
                   .from = from,
                   .to = goes_on ? std::optional<int32_t>(to) : std::nullopt});
}

// How SQLite is told that nobody writes the file.
std::string UnchangingName(const std::string& path) {
  std::string name = "file:";
  for (const char c : path) {
    if (absl::ascii_isalnum(c) || c == '/' || c == '.' || c == '-') {
      name += c;
    } else {
      absl::StrAppend(
          &name, "%",
          absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return name + "?immutable=1";
}

absl::Status FromCode(int code, const std::string& path,
                      absl::string_view detail, int machine_error) {
  // The system's error says more than what SQLite makes of it.
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
          absl::StrCat("reading \"", path, "\" was interrupted"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    // Our statements match our tables, so these tables are not ours.
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_FORMAT:
    case SQLITE_SCHEMA:
      return DamagedFile(path, detail);
    default:  // SQLITE_IOERR, SQLITE_NOMEM and others.
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
  const int how = access == Access::kWrite
                      ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                      : SQLITE_OPEN_READONLY;
  const bool unchanging = access == Access::kUnchanging;
  const std::string name = unchanging ? UnchangingName(path_) : path_;
  const int code = sqlite3_open_v2(
      name.c_str(), &db_,
      how | SQLITE_OPEN_NOMUTEX | (unchanging ? SQLITE_OPEN_URI : 0),
      vfs.empty() ? nullptr : vfs.c_str());
  if (code != SQLITE_OK) {
    KeepFirst(Failure(code));
    return;
  }
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_timeout(db_, kBusyMs);
  sqlite3_create_function_v2(
      db_, "row_sum", /*nArg=*/-1,
      SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, nullptr, &RowSum,
      nullptr, nullptr, nullptr);
  sqlite3_create_function_v2(db_, "bytes_gone", /*nArg=*/2,
                             SQLITE_UTF8 | SQLITE_DIRECTONLY, &gone_,
                             &BytesGone, nullptr, nullptr, nullptr);
  sqlite3_create_function_v2(db_, "run_moved", /*nArg=*/3,
                             SQLITE_UTF8 | SQLITE_DIRECTONLY, &moves_,
                             &RunMoved, nullptr, nullptr, nullptr);
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

absl::StatusOr<bool> SqliteConnection::CopyTo(
    SqliteConnection& to, absl::FunctionRef<bool(int64_t bytes_left)> more) {
  if (!status_.ok()) return status_;
  if (!to.status_.ok()) return to.status_;
  sqlite3_backup* copy = sqlite3_backup_init(to.db_, "main", db_, "main");
  if (copy == nullptr) return to.Failure(sqlite3_extended_errcode(to.db_));
  int code = SQLITE_OK;
  bool goes_on = true;
  while (goes_on) {
    code = sqlite3_backup_step(copy, kPagesAtOnce);
    goes_on =
        code == SQLITE_OK && more(sqlite3_backup_remaining(copy) * kPageBytes);
  }
  const int end = sqlite3_backup_finish(copy);
  if (code == SQLITE_OK || end == SQLITE_OK) return code == SQLITE_DONE;
  // SQLite reports all failures at `to`, those of reading this file, too.
  const int primary = code & 0xff;
  const bool of_this = primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ||
                       code == SQLITE_IOERR_READ ||
                       code == SQLITE_IOERR_SHORT_READ;
  if (of_this) return FromCode(code, path_, sqlite3_errstr(code), 0);
  return to.Failure(code);
}

void SqliteConnection::TakeCheckpoints() {
  if (db_ == nullptr) return;
  sqlite3_wal_hook(
      db_,
      [](void* connection, sqlite3*, const char*, int pages) {
        static_cast<SqliteConnection*>(connection)->log_pages_ = pages;
        return SQLITE_OK;
      },
      this);
}

void SqliteConnection::Checkpoint() {
  sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr,
                            nullptr);
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
