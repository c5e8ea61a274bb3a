#include "service/storage/sqlite_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "service/storage/sqlite_schema.h"

namespace leasehold {
namespace {

constexpr char kFileName[] = "leasehold.db";

// How long Open may look for damage: a restart must not wait for gigabytes.
constexpr absl::Duration kCheckMax = absl::Seconds(1);

// Pages in the log before it is copied into the file: more was slower.
constexpr int kCheckpointPages = 4000;

// A log that has once grown beyond this is cut back to it.
constexpr int64_t kLogBytesKept = 64 << 20;

constexpr int kWriterCacheKib = 32 << 10;

absl::string_view SynchronousName(Durability durability) {
  switch (durability) {
    case Durability::kFull:
      // With a log that is FULL. The journal that a new file has until then may
      // come back and undo everything, if its deletion is not synced too.
      return "EXTRA";
    case Durability::kNormal:
      return "NORMAL";
    case Durability::kOff:
      return "OFF";
  }
  return "EXTRA";
}

}  // namespace

SqliteStore::SqliteStore(SqliteStoreOptions options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      path_(absl::StrCat(options_.directory, "/", kFileName)),
      state_(absl::UnavailableError(
          absl::StrCat("the store \"", path_, "\" is not open"))) {}

SqliteStore::~SqliteStore() {
  Close(absl::UnavailableError("the store is gone"));
}

// ---- Opening and closing ----------------------------------------------------

absl::Status SqliteStore::Open() {
  if (writer_ != nullptr) {
    absl::Status status = writer_->CommitNothing();
    if (status.ok()) return status;
  }
  Close(absl::UnavailableError(
      absl::StrCat("the store \"", path_, "\" is being opened")));
  if (directory_ == nullptr && options_.vfs.empty()) {
    auto directory = DataDirectory::Lock(options_.directory, clock_);
    if (!directory.ok()) {
      Close(directory.status());
      return directory.status();
    }
    directory_ = *std::move(directory);
  }
  absl::Status status = OpenFile();
  if (status.ok()) status = OpenReaders();
  if (!status.ok()) Close(status);
  return status;
}

absl::Status SqliteStore::OpenFile() {
  connection_ = std::make_unique<SqliteConnection>(
      path_, options_.vfs, SqliteConnection::Access::kWrite);
  SqliteConnection& file = *connection_;

  // The order counts: nothing is written before it is known to be our file, and
  // nothing before it is known how to sync.
  absl::Status status = file.Run(absl::StrCat(
      "PRAGMA synchronous = ", SynchronousName(options_.durability),
      "; PRAGMA cache_size = -", kWriterCacheKib,
      "; PRAGMA wal_autocheckpoint = ", kCheckpointPages,
      "; PRAGMA journal_size_limit = ", kLogBytesKept));
  if (!status.ok()) return status;
  const auto version = SqliteVersion(file, SqliteMigrations());
  if (!version.ok()) return version.status();
  const auto mode = file.Ask("PRAGMA journal_mode = WAL");
  if (!mode.ok()) return mode.status();
  if (*mode != "wal") {
    return absl::UnavailableError(
        absl::StrCat("\"", path_, "\" cannot have a write-ahead log (it says ",
                     *mode, "); is it on a network file system?"));
  }

  // After a sync that failed, the log may hold pages that a later sync takes
  // for written: the kernel forgets what it could not write. Copied into the
  // file they are written anew.
  const auto busy = file.AskNumber("PRAGMA wal_checkpoint(TRUNCATE)");
  if (!busy.ok()) return busy.status();
  if (*busy != 0) {
    return absl::UnavailableError(absl::StrCat("another program is reading \"",
                                               path_, "\"; it must end first"));
  }
  status = CheckIntegrity();
  if (!status.ok()) return status;
  status = MigrateSqlite(file, SqliteMigrations());
  if (!status.ok()) return status;
  if (directory_ != nullptr) {
    status = directory_->Sync();
    if (!status.ok()) return status;
  }
  writer_ = std::make_unique<SqliteWriter>(file);
  if (!file.status().ok()) return file.status();
  return writer_->CommitNothing();
}

absl::Status SqliteStore::CheckIntegrity() {
  const Instant end = clock_.Now() + kCheckMax;
  absl::StatusOr<std::string> result;
  const bool stopped = connection_->StopWhen(
      [&] { return clock_.Now() >= end; },
      [&] { result = connection_->Ask("PRAGMA quick_check(1)"); });
  if (stopped) return absl::OkStatus();
  if (!result.ok()) return result.status();
  if (*result == "ok") return absl::OkStatus();
  return connection_->Damaged(absl::StrReplaceAll(*result, {{"\n", "; "}}));
}

absl::Status SqliteStore::OpenReaders() {
  std::vector<std::unique_ptr<SqliteReader>> readers;
  for (int i = 0; i < std::max(options_.readers, 1); ++i) {
    readers.push_back(
        std::make_unique<SqliteReader>(path_, options_.vfs, clock_));
    if (!readers.back()->status().ok()) return readers.back()->status();
  }
  MutexLock lock(mu_);
  readers_ = std::move(readers);
  for (const auto& reader : readers_) idle_.push_back(reader.get());
  state_ = absl::OkStatus();
  return absl::OkStatus();
}

void SqliteStore::Close(const absl::Status& why) {
  {
    MutexLock lock(mu_);
    state_ = absl::UnavailableError(why.message());
    returned_.NotifyAll();
    while (idle_.size() < readers_.size()) {
      // One that has not quite begun does not hear it: it reads to its end.
      for (const auto& reader : readers_) reader->Interrupt();
      returned_.Wait(mu_);
    }
    idle_.clear();
    readers_.clear();
  }
  writer_.reset();
  connection_.reset();
}

// ---- Writing ----------------------------------------------------------------

absl::Status SqliteStore::Commit(absl::Span<const Change> changes) {
  if (writer_ == nullptr) {
    MutexLock lock(mu_);
    return state_;
  }
  absl::Status status = writer_->Commit(changes);
  if (!status.ok()) Close(status);
  return status;
}

// ---- Reading ----------------------------------------------------------------

template <typename Result, typename... Parameters, typename... Arguments>
Result SqliteStore::Read(Result (SqliteReader::*read)(Parameters...),
                         const Arguments&... arguments) {
  SqliteReader* reader = nullptr;
  {
    MutexLock lock(mu_);
    while (state_.ok() && idle_.empty()) returned_.Wait(mu_);
    if (!state_.ok()) return state_;
    reader = idle_.back();
    idle_.pop_back();
  }
  Result result = (reader->*read)(arguments...);
  MutexLock lock(mu_);
  idle_.push_back(reader);
  returned_.NotifyAll();
  return result;
}

absl::Status SqliteStore::ReadOpen(
    absl::FunctionRef<void(OpenInstance instance)> each) {
  return Read(&SqliteReader::ReadOpen, each);
}

absl::StatusOr<InstanceNumber> SqliteStore::ReadLastNumber() {
  return Read(&SqliteReader::ReadLastNumber);
}

absl::StatusOr<std::optional<InstanceRow>> SqliteStore::Find(
    std::string_view tenant, std::string_view id) {
  return Read(&SqliteReader::Find, tenant, id);
}

absl::StatusOr<std::vector<InstanceRow>> SqliteStore::ReadReplaced(
    std::string_view tenant, std::string_view id) {
  return Read(&SqliteReader::ReadReplaced, tenant, id);
}

absl::StatusOr<std::vector<std::string>> SqliteStore::ReadHistory(
    InstanceNumber number) {
  return Read(&SqliteReader::ReadHistory, number);
}

absl::StatusOr<HistoryEnds> SqliteStore::ReadHistoryEnds(
    InstanceNumber number) {
  return Read(&SqliteReader::ReadHistoryEnds, number);
}

absl::StatusOr<RowPage> SqliteStore::Query(const RowQuery& query) {
  return Read(&SqliteReader::Query, query);
}

absl::StatusOr<FinishedPage> SqliteStore::ListFinished(
    const FinishedQuery& query) {
  return Read(&SqliteReader::ListFinished, query);
}

absl::StatusOr<std::optional<RequestRow>> SqliteStore::FindRequest(
    std::string_view tenant, std::string_view request) {
  return Read(&SqliteReader::FindRequest, tenant, request);
}

absl::StatusOr<std::optional<std::string>> SqliteStore::ReadSetting(
    std::string_view name) {
  return Read(&SqliteReader::ReadSetting, name);
}

}  // namespace leasehold
