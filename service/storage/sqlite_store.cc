#include "service/storage/sqlite_store.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "service/storage/durable_files.h"
#include "service/storage/sqlite_schema.h"
#include "service/storage/store_restore.h"

namespace leasehold {
namespace {

// Time limit for finding damage in Open: a restart must not wait for gigabytes.
constexpr absl::Duration kCheckMax = absl::Seconds(1);

// Pages in the log before it is copied into the file: more was slower.
constexpr int kCheckpointPages = 4000;

// The format of SQLite's log, with its pages of 4096 bytes.
constexpr int64_t kLogHeaderBytes = 32;
constexpr int64_t kLogFrameBytes = 24 + 4096;

// A log that has grown beyond this is truncated to it.
constexpr int64_t kLogBytesKept = 64 << 20;

// Each waits for as long as SQLite waits for a lock: two seconds.
constexpr int kCopyLogTries = 4;

constexpr int kWriterCacheKib = 32 << 10;

absl::string_view SynchronousName(Durability durability) {
  switch (durability) {
    case Durability::kFull:
      // With a write-ahead log, the same as FULL. A new file has a rollback
      // journal first: if its deletion is not synced too, it may come back and
      // undo everything.
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
      path_(absl::StrCat(options_.directory, "/", DataDirectory::kStoreName)),
      write_state_(absl::UnavailableError(
          absl::StrCat("the store \"", path_, "\" is not open"))),
      guard_(path_),
      state_(write_state_) {}

SqliteStore::~SqliteStore() {
  PauseReads();
  EndPause(absl::UnavailableError("the store is gone"));
  MutexLock lock(mu_);
  readers_.clear();
}

// ---- Opening and closing ----------------------------------------------------

absl::Status SqliteStore::Open() {
  if (absl::Status status = CheckFiles(); !status.ok()) return status;
  if (writer_ != nullptr) {
    absl::Status status = writer_->CommitNothing();
    if (status.ok()) {
      EndPause(status);
      return status;
    }
  }
  CloseWriter(absl::UnavailableError(
      absl::StrCat("the store \"", path_, "\" is being opened")));
  absl::Status status = Prepare();
  bool readable = false;
  if (status.ok()) {
    // Nobody reads while the log is copied: a reader would hold that up.
    PauseReads();
    status = OpenFile();
    if (status.ok()) status = OpenReaders();
    guard_.Update();  // A failed checkpoint may have written it, too.
    MutexLock lock(mu_);
    readable = !readers_.empty() && absl::IsUnavailable(status);
  }
  if (status.ok()) {
    if (options_.vfs.empty() && !guard_.begun()) guard_.Begin();
  } else {
    CloseWriter(status);
  }
  // Acknowledged data can be read even if nothing can be written.
  EndPause(status.ok() || readable ? absl::OkStatus()
                                   : absl::UnavailableError(status.message()));
  return status;
}

absl::Status SqliteStore::Prepare() {
  if (directory_ == nullptr && options_.vfs.empty()) {
    auto directory = DataDirectory::Lock(options_.directory, clock_);
    if (!directory.ok()) return directory.status();
    DurableFiles files;
    const auto finished = FinishRestore(options_.directory, files);
    if (!finished.ok()) return finished.status();
    if (finished->has_value()) {
      Note("store_restored",
           absl::StrCat("the restore of a backup was interrupted, and is "
                        "finished now; ",
                        Describe(**finished)));
    }
    directory_ = *std::move(directory);
  }
  if (witness_ != nullptr) return absl::OkStatus();
  if (options_.vfs.empty()) {
    auto witness = Witness::Open(
        absl::StrCat(options_.directory, "/", DataDirectory::kWitnessName));
    if (!witness.ok()) return witness.status();
    witness_ = *std::move(witness);
  } else {
    witness_ = std::make_unique<Witness>();
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::CheckPresence() {
  if (!options_.vfs.empty()) return absl::OkStatus();
  if (witness_->commits() == 0 && !witness_->emptied()) return absl::OkStatus();
  std::error_code error;
  const bool there = std::filesystem::exists(path_, error);
  if (there && std::filesystem::file_size(path_, error) > 0) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      "\"", path_, "\" is ", there ? "empty" : "missing",
      ", but it contained orchestrations; restore it from a backup, or "
      "remove \"",
      options_.directory, "/", DataDirectory::kWitnessName,
      "\" to begin with an empty store"));
}

absl::Status SqliteStore::CheckCommits() {
  const uint64_t there = writer_->commits();
  const uint64_t acknowledged = witness_->commits();
  if (there >= acknowledged || options_.durability != Durability::kFull) {
    witness_->SetCommits(there);
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      "\"", path_, "\" is older than the last acknowledged commit: it has ",
      there, " commits, but ", acknowledged,
      " were acknowledged; put the newer file back, together with its "
      "\"-wal\", or remove \"",
      options_.directory, "/", DataDirectory::kWitnessName,
      "\" to continue with this one, as after restoring a backup"));
}

absl::Status SqliteStore::OpenFile() {
  if (absl::Status status = CheckPresence(); !status.ok()) return status;
  connection_ = std::make_unique<SqliteConnection>(
      path_, options_.vfs, SqliteConnection::Access::kWrite);
  SqliteConnection& file = *connection_;

  // The order matters: nothing is written until the file is known to be ours,
  // and how to sync is set.
  absl::Status status = file.Run(absl::StrCat(
      "PRAGMA synchronous = ", SynchronousName(options_.durability),
      "; PRAGMA cache_size = -", kWriterCacheKib,
      "; PRAGMA journal_size_limit = ", kLogBytesKept));
  if (!status.ok()) return status;
  file.TakeCheckpoints();
  const auto version = SqliteVersion(file, SqliteMigrations());
  if (!version.ok()) return version.status();
  const auto mode = file.Ask("PRAGMA journal_mode = WAL");
  if (!mode.ok()) return mode.status();
  if (*mode != "wal") {
    return absl::UnavailableError(absl::StrCat(
        "\"", path_, "\" cannot use a write-ahead log (journal mode ", *mode,
        "); is it on a network file system?"));
  }

  // After a failed sync, the log may contain pages that a later sync takes for
  // written: the kernel forgets what it could not write. Copying them into the
  // file writes them again.
  status = CopyLog();
  if (!status.ok()) return status;
  guard_.SetLogBytes(0);
  status = CheckIntegrity();
  if (!status.ok()) return status;
  status = Migrate();
  if (!status.ok()) return status;
  if (directory_ != nullptr) {
    status = directory_->Sync();
    if (!status.ok()) return status;
  }
  writer_ = std::make_unique<SqliteWriter>(file);
  if (!writer_->status().ok()) return writer_->status();
  tenant_bytes_.Clear();
  writer_->Publish(tenant_bytes_);
  run_counts_.Clear();
  writer_->Publish(run_counts_);
  status = CheckCommits();
  return status.ok() ? writer_->CommitNothing() : status;
}

absl::Status SqliteStore::CopyLog() {
  // A backup that reads lets go when it is asked, and begins anew after a
  // while, perhaps while this still copies: then it is asked once more.
  for (int i = 0; i < kCopyLogTries; ++i) {
    if (directory_ != nullptr) directory_->AskReadersToLetGo();
    const auto busy = connection_->AskNumber("PRAGMA wal_checkpoint(TRUNCATE)");
    if (!busy.ok()) return busy.status();
    if (*busy == 0) return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat("another program is reading \"",
                                             path_, "\"; it must end first"));
}

absl::Status SqliteStore::Migrate() {
  const auto version = SqliteVersion(*connection_, SqliteMigrations());
  if (!version.ok()) return version.status();
  const auto newest = static_cast<int64_t>(SqliteMigrations().size());
  if (*version == newest) return absl::OkStatus();
  std::string copy;
  if (*version > 0 && options_.vfs.empty()) {
    copy = absl::StrCat(path_, ".schema-", *version);
    std::error_code error;
    std::filesystem::remove(copy, error);  // From an earlier, failed attempt.
    absl::Status status = connection_->Run(absl::StrCat(
        "VACUUM INTO '", absl::StrReplaceAll(copy, {{"'", "''"}}), "'"));
    if (!status.ok()) {
      return absl::UnavailableError(
          absl::StrCat("cannot copy \"", path_, "\" to \"", copy,
                       "\" before its schema is changed: ", status.message()));
    }
  }
  absl::Status status = MigrateSqlite(*connection_, SqliteMigrations());
  if (status.ok() && !copy.empty()) {
    Note("store_migrated",
         absl::StrCat("from schema ", *version, " to ", newest,
                      "; the previous file is kept as \"", copy, "\""));
  }
  return status;
}

absl::StatusOr<std::string> SqliteStore::FindDamage() {
  const Instant end = clock_.Now() + kCheckMax;
  absl::StatusOr<std::string> result;
  const bool stopped = connection_->StopWhen(
      [&] { return clock_.Now() >= end; },
      [&] { result = connection_->Ask("PRAGMA integrity_check(1)"); });
  if (stopped) return std::string();
  if (result.ok() && *result == "ok") return std::string();
  return result;
}

absl::Status SqliteStore::CheckIntegrity() {
  auto damage = FindDamage();
  if (damage.ok() && absl::StrContains(*damage, "index ")) {
    // Everything in an index is also in its table.
    const std::string was = *damage;
    if (absl::Status made = connection_->Run("REINDEX"); !made.ok()) {
      return made;
    }
    damage = FindDamage();
    if (damage.ok() && damage->empty()) {
      Note("store_repaired",
           absl::StrCat("the indexes of \"", path_, "\" were damaged (", was,
                        ") and have been rebuilt"));
    }
  }
  if (!damage.ok()) return damage.status();
  if (damage->empty()) return absl::OkStatus();
  return connection_->Damaged(absl::StrReplaceAll(*damage, {{"\n", "; "}}));
}

absl::Status SqliteStore::OpenReaders() {
  MutexLock lock(mu_);
  if (!readers_.empty()) return absl::OkStatus();
  std::vector<std::unique_ptr<SqliteReader>> readers;
  for (int i = 0; i < std::max(options_.readers, 1); ++i) {
    readers.push_back(
        std::make_unique<SqliteReader>(path_, options_.vfs, clock_));
    if (!readers.back()->status().ok()) return readers.back()->status();
  }
  readers_ = std::move(readers);
  for (const auto& reader : readers_) idle_.push_back(reader.get());
  return absl::OkStatus();
}

void SqliteStore::CloseWriter(const absl::Status& why) {
  writer_.reset();
  connection_.reset();
  write_state_ = absl::UnavailableError(why.message());
}

void SqliteStore::PauseReads() {
  MutexLock lock(mu_);
  paused_ = true;
  while (idle_.size() < readers_.size()) returned_.Wait(mu_);
}

void SqliteStore::EndPause(const absl::Status& state) {
  MutexLock lock(mu_);
  paused_ = false;
  state_ = state;
  returned_.NotifyAll();
}

absl::Status SqliteStore::CheckFiles() {
  absl::Status status = guard_.Check();
  if (status.ok()) return status;
  // Closes nothing: a deleted file can still be copied from the process's
  // descriptors (/proc/PID/fd).
  MutexLock lock(mu_);
  state_ = status;
  returned_.NotifyAll();
  return status;
}

// ---- Writing ----------------------------------------------------------------

absl::StatusOr<OpenedPartition> SqliteStore::OpenPartition(
    PartitionId partition, int64_t generation_min) {
  if (absl::Status status = CheckPartition(partition); !status.ok()) {
    return status;
  }
  absl::Status status = writer_ == nullptr ? write_state_ : CheckFiles();
  if (!status.ok()) return status;
  const auto opened = writer_->OpenPartition(generation_min);
  status = opened.ok() ? AfterCommit() : opened.status();
  if (!opened.ok()) CloseWriter(status);
  if (!status.ok()) return status;
  return opened;
}

CommitResult SqliteStore::Commit(absl::Span<const Fence> fences,
                                 absl::Span<const Change> changes) {
  if (writer_ == nullptr) return CommitResult::Refused(write_state_);
  absl::Status status = CheckFiles();
  if (!status.ok()) return CommitResult::Refused(std::move(status));
  if (auto refused = CheckFences(fences, writer_->epoch())) {
    return *std::move(refused);
  }
  CommitResult result = writer_->Commit(changes);
  if (!result.done()) {
    CloseWriter(result.status());
    return result;
  }
  writer_->Publish(tenant_bytes_);
  writer_->Publish(run_counts_);
  status = AfterCommit();
  return status.ok() ? std::move(result)
                     : CommitResult::Unknown(std::move(status));
}

absl::Status SqliteStore::AfterCommit() {
  // After a checkpoint the next commit restarts the log and truncates it to
  // kLogBytesKept: only the log's present contents are certain to stay.
  const int pages = connection_->log_pages();
  guard_.SetLogBytes(kLogHeaderBytes + int64_t{pages} * kLogFrameBytes);
  // A commit into a file that nobody will find again is not acknowledged.
  if (absl::Status status = CheckFiles(); !status.ok()) return status;
  witness_->SetCommits(writer_->commits());
  if (pages >= kCheckpointPages) {
    connection_->Checkpoint();
    guard_.Update();
  }
  return absl::OkStatus();
}

// ---- Reading ----------------------------------------------------------------

template <typename Result, typename... Parameters, typename... Arguments>
Result SqliteStore::Read(Result (SqliteReader::*read)(Parameters...),
                         const Arguments&... arguments) {
  SqliteReader* reader = nullptr;
  {
    MutexLock lock(mu_);
    while (paused_ || (state_.ok() && idle_.empty())) returned_.Wait(mu_);
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
    PartitionId partition, absl::FunctionRef<void(OpenRun instance)> each) {
  return Read(&SqliteReader::ReadOpen, partition, each);
}

absl::StatusOr<RunNumber> SqliteStore::ReadLastNumber(PartitionId partition) {
  return Read(&SqliteReader::ReadLastNumber, partition);
}

absl::StatusOr<std::vector<OutboxRow>> SqliteStore::ReadOutbox(
    PartitionId source) {
  return Read(&SqliteReader::ReadOutbox, source);
}

absl::StatusOr<std::optional<RunRow>> SqliteStore::Find(std::string_view tenant,
                                                        std::string_view id) {
  return Read(&SqliteReader::Find, tenant, id);
}

absl::StatusOr<std::vector<RunRow>> SqliteStore::ReadReplaced(
    std::string_view tenant, std::string_view id) {
  return Read(&SqliteReader::ReadReplaced, tenant, id);
}

absl::StatusOr<std::vector<std::string>> SqliteStore::ReadHistory(
    RunNumber number) {
  return Read(&SqliteReader::ReadHistory, number);
}

absl::StatusOr<HistoryPart> SqliteStore::ReadHistoryPart(RunNumber number,
                                                         int64_t first,
                                                         size_t bytes_max) {
  return Read(&SqliteReader::ReadHistoryPart, number, first, bytes_max);
}

absl::StatusOr<HistoryEnds> SqliteStore::ReadHistoryEnds(RunNumber number) {
  return Read(&SqliteReader::ReadHistoryEnds, number);
}

absl::StatusOr<std::vector<MessageRow>> SqliteStore::ReadMessages(
    RunNumber number, const MessageRange& range) {
  return Read(&SqliteReader::ReadMessages, number, range);
}

absl::StatusOr<std::optional<TaskRow>> SqliteStore::ReadTask(RunNumber number,
                                                             int64_t sequence) {
  return Read(&SqliteReader::ReadTask, number, sequence);
}

absl::StatusOr<RowPage> SqliteStore::Query(const RowQuery& query) {
  return Read(&SqliteReader::Query, query);
}

absl::StatusOr<RowCounts> SqliteStore::Count(const RowQuery& query) {
  return Read(&SqliteReader::Count, query);
}

absl::StatusOr<FinishedPage> SqliteStore::ListFinished(
    const FinishedQuery& query) {
  return Read(&SqliteReader::ListFinished, query);
}

absl::StatusOr<std::optional<RequestRow>> SqliteStore::FindRequest(
    std::string_view tenant, std::string_view request) {
  return Read(&SqliteReader::FindRequest, tenant, request);
}

absl::Status SqliteStore::ReadAwake(
    PartitionId partition, absl::FunctionRef<void(AwakeEntity entity)> each) {
  return Read(&SqliteReader::ReadAwake, partition, each);
}

absl::StatusOr<std::optional<EntityRow>> SqliteStore::FindEntity(
    std::string_view tenant, std::string_view id) {
  return Read(&SqliteReader::FindEntity, tenant, id);
}

absl::StatusOr<EntityPage> SqliteStore::QueryEntities(
    const EntityQuery& query) {
  return Read(&SqliteReader::QueryEntities, query);
}

absl::Status SqliteStore::ReadCalls(
    PartitionId partition, absl::FunctionRef<void(CallMark call)> each) {
  return Read(&SqliteReader::ReadCalls, partition, each);
}

absl::StatusOr<std::optional<CallRow>> SqliteStore::FindCall(
    std::string_view tenant, std::string_view request) {
  return Read(&SqliteReader::FindCall, tenant, request);
}

absl::StatusOr<std::optional<std::string>> SqliteStore::ReadSetting(
    std::string_view name) {
  return Read(&SqliteReader::ReadSetting, name);
}

}  // namespace leasehold
