#include "service/storage/store_restore.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/storage/data_directory.h"
#include "service/storage/partition.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/sqlite_schema.h"
#include "service/storage/store_backup.h"

namespace leasehold {
namespace {

namespace fs = std::filesystem;

constexpr char kLockName[] = "leasehold.lock";
constexpr char kPartialRestore[] = "restore.partial";
constexpr char kReady[] = "restore.ready";
constexpr char kMoving[] = "restore.moving";
constexpr char kReplaced[] = "replaced-";

// How many openings of the store a restore takes to have happened since the
// backup: each may have used kGenerationsPerOpen. With the most of them, 2^53
// is reached after a hundred restores.
constexpr int64_t kOpensSkipped = 1024;
constexpr int64_t kOpensSkippedByTimeMax = 16384;

constexpr int64_t kSkippedAtRandomMax = kOpensSkipped * kGenerationsPerOpen;

bool Exists(const std::string& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

// The names in a directory, sorted: of files, or of everything.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& directory,
                                                 bool files_only) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    std::error_code ignored;
    if (files_only && entry.is_directory(ignored)) continue;
    names.push_back(entry.path().filename());
  }
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot list \"", directory, "\": ", error.message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The folder of the former files in `directory`: its name; empty: none.
absl::StatusOr<std::string> ReplacedIn(const std::string& directory) {
  const auto names = NamesIn(directory, /*files_only=*/false);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (absl::StartsWith(name, kReplaced)) return name;
  }
  return std::string();
}

// ---- From `ready` to the end ------------------------------------------------

class Finishing {
 public:
  Finishing(const std::string& directory, DurableFiles& files)
      : directory_(directory),
        ready_(absl::StrCat(directory, "/", kReady)),
        moving_(absl::StrCat(directory, "/", kMoving)),
        files_(files) {}

  absl::StatusOr<std::optional<Restored>> Finish() {
    if (Exists(ready_)) {
      absl::Status status = MoveFormer();
      if (!status.ok()) return status;
    }
    if (!Exists(moving_)) return std::nullopt;
    Restored restored;
    const absl::StatusOr<BackupManifest> manifest =
        BackupManifest::Read(moving_);
    if (manifest.ok()) restored.manifest = *manifest;
    absl::Status status = MoveNew();
    if (status.ok()) status = KeepFormer(restored);
    if (status.ok()) status = files_.Remove(moving_);
    if (status.ok()) status = files_.Sync(directory_);
    if (!status.ok()) return status;
    // Without one, all but the removal of the folder was done before.
    if (!manifest.ok()) return std::nullopt;
    return restored;
  }

 private:
  absl::Status MoveFormer() {
    const absl::StatusOr<std::string> replaced = ReplacedIn(ready_);
    if (!replaced.ok()) return replaced.status();
    const std::string aside = absl::StrCat(ready_, "/", *replaced);
    // The witness is the last of their names: without it a program that knows
    // nothing of restores would take the directory for a new one.
    const auto names = NamesIn(directory_, /*files_only=*/true);
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      if (name == kLockName) continue;
      absl::Status moved = files_.Rename(absl::StrCat(directory_, "/", name),
                                         absl::StrCat(aside, "/", name));
      if (!moved.ok()) return moved;
    }
    absl::Status status = files_.Sync(aside);
    if (status.ok()) status = files_.Sync(directory_);
    if (status.ok()) status = files_.Rename(ready_, moving_);
    return status.ok() ? files_.Sync(directory_) : status;
  }

  absl::Status MoveNew() {
    const auto names = NamesIn(moving_, /*files_only=*/true);
    if (!names.ok()) return names.status();
    for (const bool database : {false, true}) {
      for (const std::string& name : *names) {
        if (name == BackupManifest::kName ||
            (name == DataDirectory::kStoreName) != database) {
          continue;
        }
        absl::Status moved = files_.Rename(absl::StrCat(moving_, "/", name),
                                           absl::StrCat(directory_, "/", name));
        if (!moved.ok()) return moved;
      }
    }
    return files_.Sync(directory_);
  }

  absl::Status KeepFormer(Restored& restored) {
    const absl::StatusOr<std::string> replaced = ReplacedIn(moving_);
    if (!replaced.ok() || replaced->empty()) return replaced.status();
    const std::string aside = absl::StrCat(moving_, "/", *replaced);
    const auto former = NamesIn(aside, /*files_only=*/false);
    if (!former.ok() || former->empty()) return former.status();
    restored.former = absl::StrCat(directory_, "/", *replaced);
    absl::Status status = files_.Rename(aside, restored.former);
    return status.ok() ? files_.Sync(directory_) : status;
  }

  const std::string directory_;
  const std::string ready_;
  const std::string moving_;
  DurableFiles& files_;
};

// ---- Up to `ready` ----------------------------------------------------------

class Restoring {
 public:
  Restoring(const RestoreOptions& options, const Clock& clock,
            DurableFiles& files)
      : options_(options),
        clock_(clock),
        files_(files),
        partial_(absl::StrCat(options.data, "/", kPartialRestore)) {}

  absl::StatusOr<Restored> Restore() {
    absl::StatusOr<BackupManifest> manifest = Manifest();
    if (!manifest.ok()) return manifest.status();
    manifest_ = *std::move(manifest);
    const auto lock = DataDirectory::Lock(options_.data, clock_);
    if (!lock.ok()) return lock.status();
    auto earlier = FinishRestore(options_.data, files_);
    if (!earlier.ok()) return earlier.status();
    if (earlier->has_value() && (*earlier)->manifest == manifest_) {
      return **std::move(earlier);
    }
    absl::Status status = files_.Remove(partial_);
    if (status.ok()) status = MayRestore();
    if (!status.ok()) return status;
    status = MakeReady();
    if (!status.ok()) {
      files_.Remove(partial_).IgnoreError();  // The next one removes it.
      return status;
    }
    auto finished = FinishRestore(options_.data, files_);
    if (!finished.ok()) return finished.status();
    return **std::move(finished);
  }

 private:
  absl::StatusOr<BackupManifest> Manifest() const {
    absl::StatusOr<BackupManifest> manifest =
        BackupManifest::Read(options_.from);
    if (manifest.ok() &&
        manifest->schema > static_cast<int64_t>(SqliteMigrations().size())) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the backup \"", options_.from, "\" has schema version ",
          manifest->schema, ", and this program knows versions up to ",
          SqliteMigrations().size(), "; it was made by version ",
          manifest->program));
    }
    if (!absl::IsNotFound(manifest.status())) return manifest;
    const std::vector<std::string> backups = ListBackups(options_.from);
    if (backups.empty()) return manifest;
    return absl::NotFoundError(absl::StrCat(
        "\"", options_.from, "\" has several backups; name one: the newest is ",
        "\"", backups.back(), "\""));
  }

  // The directory is empty, or may be replaced.
  absl::Status MayRestore() const {
    const auto names = NamesIn(options_.data, /*files_only=*/false);
    if (!names.ok()) return names.status();
    bool empty = true;
    bool ours = false;
    for (const std::string& name : *names) {
      ours |= name == DataDirectory::kStoreName || name == "leasehold.witness";
      empty &= name == kLockName || name == "lost+found" ||
               absl::StartsWith(name, kReplaced);
    }
    if (empty || (ours && options_.replace)) return absl::OkStatus();
    if (ours) {
      return absl::FailedPreconditionError(absl::StrCat(
          "data directory \"", options_.data,
          "\" has a store; --replace puts the backup in its place, and keeps "
          "its files"));
    }
    return absl::FailedPreconditionError(
        absl::StrCat("\"", options_.data,
                     "\" is not empty, and is not a data directory; restore "
                     "into an empty one"));
  }

  absl::Status MakeReady() {
    const std::string aside = absl::StrCat(partial_, "/", NameOfReplaced());
    absl::Status status = files_.MakeDirectory(partial_);
    if (status.ok()) status = files_.MakeDirectory(aside);
    for (const BackupManifest::File& file : manifest_.files) {
      if (status.ok()) status = Copy(file);
    }
    if (status.ok()) {
      status = files_.Write(absl::StrCat(partial_, "/", BackupManifest::kName),
                            manifest_.Encode());
    }
    if (status.ok()) status = PrepareDatabase();
    if (status.ok()) status = GiveAway(aside);
    if (status.ok()) status = files_.Sync(partial_);
    if (status.ok()) {
      status =
          files_.Rename(partial_, absl::StrCat(options_.data, "/", kReady));
    }
    return status.ok() ? files_.Sync(options_.data) : status;
  }

  // One that is free. Nobody else takes it: the directory is locked.
  std::string NameOfReplaced() const {
    const std::string name = absl::StrCat(
        kReplaced, absl::FormatTime("%Y%m%dT%H%M%SZ", clock_.WallNow(),
                                    absl::UTCTimeZone()));
    std::string found = name;
    for (int i = 2; Exists(absl::StrCat(options_.data, "/", found)); ++i) {
      found = absl::StrCat(name, "-", i);
    }
    return found;
  }

  absl::Status Copy(const BackupManifest::File& file) {
    const std::string from = absl::StrCat(options_.from, "/", file.name);
    const absl::StatusOr<FileSum> copied =
        files_.Copy(from, absl::StrCat(partial_, "/", file.name));
    if (absl::IsNotFound(copied.status())) {
      return absl::DataLossError(absl::StrCat(
          "\"", from, "\" is missing from the backup; use another one"));
    }
    if (!copied.ok()) return copied.status();
    if (*copied == file.sum) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(
        "\"", from, "\" is not what was backed up: it has ", copied->bytes,
        " bytes with SHA-256 ", copied->sha256, ", and the ",
        BackupManifest::kName, " says ", file.sum.bytes, " and ",
        file.sum.sha256, "; use another backup"));
  }

  // Brings the database to the present schema, and raises its generations.
  absl::Status PrepareDatabase() {
    const std::string path =
        absl::StrCat(partial_, "/", DataDirectory::kStoreName);
    if (!Exists(path)) {
      return absl::DataLossError(absl::StrCat("the backup \"", options_.from,
                                              "\" has no ",
                                              DataDirectory::kStoreName));
    }
    {
      SqliteConnection file(path, "", SqliteConnection::Access::kWrite);
      absl::Status status = MigrateSqlite(file, SqliteMigrations());
      if (!status.ok()) return status;
      SqliteStatement raise(
          file,
          "UPDATE partition SET epoch=max(epoch,1),"
          " generation=max(generation,?1)+?2,"
          " sum=row_sum(id,max(epoch,1),max(generation,?1)+?2)"
          " WHERE sum=row_sum(id,epoch,generation)");
      status = raise.Run(GenerationReached(), GenerationsSkipped());
      if (!status.ok()) return status;
      // The log is copied into the file, and removed.
      const auto mode = file.Ask("PRAGMA journal_mode = DELETE");
      if (!mode.ok()) return mode.status();
    }
    return files_.Sync(path);
  }

  // Which generation may have been used, as far as is known here.
  int64_t GenerationReached() const {
    const int64_t now = absl::ToUnixMicros(clock_.WallNow());
    const std::string former =
        absl::StrCat(options_.data, "/", DataDirectory::kStoreName);
    if (!Exists(former)) return now;
    SqliteConnection file(former, "", SqliteConnection::Access::kReadOnly);
    const absl::StatusOr<int64_t> reached = file.AskNumber(
        "SELECT generation FROM partition"
        " WHERE id=0 AND sum=row_sum(id,epoch,generation)");
    // A damaged file is a reason to restore.
    return std::max(now, reached.value_or(0));
  }

  int64_t GenerationsSkipped() const {
    const int64_t minutes =
        absl::ToInt64Minutes(clock_.WallNow() - manifest_.made);
    const int64_t opens =
        kOpensSkipped + std::clamp(minutes, int64_t{0}, kOpensSkippedByTimeMax);
    // Two restores of one backup have different ones.
    std::random_device random;
    const int64_t some = (int64_t{random()} << 10) % kSkippedAtRandomMax;
    return kGenerationsPerOpen * opens + some;
  }

  absl::Status GiveAway(const std::string& aside) {
    const auto names = NamesIn(partial_, /*files_only=*/true);
    if (!names.ok()) return names.status();
    absl::Status status = files_.GiveToOwnerOf(options_.data, aside);
    for (const std::string& name : *names) {
      if (!status.ok()) return status;
      status = files_.GiveToOwnerOf(options_.data,
                                    absl::StrCat(partial_, "/", name));
    }
    return status.ok() ? files_.GiveToOwnerOf(options_.data, partial_) : status;
  }

  const RestoreOptions& options_;
  const Clock& clock_;
  DurableFiles& files_;
  const std::string partial_;
  BackupManifest manifest_;
};

}  // namespace

std::string Describe(const Restored& restored) {
  std::string text =
      absl::StrCat("the backup was made at ",
                   absl::FormatTime(absl::RFC3339_sec, restored.manifest.made,
                                    absl::UTCTimeZone()));
  if (!restored.former.empty()) {
    absl::StrAppend(&text, "; the former files are in \"", restored.former,
                    "\"");
  }
  return text;
}

absl::StatusOr<Restored> RestoreBackup(const RestoreOptions& options,
                                       const Clock& clock,
                                       DurableFiles& files) {
  return Restoring(options, clock, files).Restore();
}

bool RestoreIsUnfinished(const std::string& directory) {
  return Exists(absl::StrCat(directory, "/", kReady)) ||
         Exists(absl::StrCat(directory, "/", kMoving));
}

absl::StatusOr<std::optional<Restored>> FinishRestore(
    const std::string& directory, DurableFiles& files) {
  return Finishing(directory, files).Finish();
}

}  // namespace leasehold
