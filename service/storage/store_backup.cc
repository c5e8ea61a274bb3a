#include "service/storage/store_backup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "service/storage/data_directory.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/sqlite_schema.h"
#include "service/storage/store_restore.h"

namespace leasehold {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "leasehold-";
constexpr char kPartial[] = ".partial";

// What is written without being synced: the server's own syncs may have to wait
// for all of it.
constexpr int64_t kUnsyncedBytesMax = 8 << 20;

// How long a server that starts has the file for itself before the copy begins
// again.
constexpr absl::Duration kLetGo = absl::Seconds(1);

// Makes the directory that has the backups, and locks it, so that no two write
// into it: what is partial there is then nobody's.
class Target {
 public:
  explicit Target(std::string path) : path_(std::move(path)) {}
  ~Target() {
    if (lock_ >= 0) close(lock_);
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  absl::Status Open(DurableFiles& files) {
    if (absl::Status made = Make(fs::path(path_), files); !made.ok()) {
      return made;
    }
    lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ < 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot open \"", path_, "\": ", std::strerror(errno)));
    }
    if (flock(lock_, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
    if (errno == EWOULDBLOCK) {
      return absl::FailedPreconditionError(absl::StrCat(
          "another backup into \"", path_, "\" is being made; let it end"));
    }
    return absl::UnavailableError(
        absl::StrCat("cannot lock \"", path_, "\": ", std::strerror(errno)));
  }

  // Removes what backups that were killed have left.
  absl::Status RemovePartial(DurableFiles& files) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path_, error)) {
      const std::string name = entry.path().filename();
      if (!absl::StartsWith(name, kPrefix) || !absl::EndsWith(name, kPartial)) {
        continue;
      }
      absl::Status removed = files.Remove(entry.path());
      if (!removed.ok()) return removed;
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Make(const fs::path& path, DurableFiles& files) {
    std::error_code error;
    if (path.empty() || fs::is_directory(path, error)) return absl::OkStatus();
    const fs::path parent = path.parent_path();
    if (absl::Status made = Make(parent, files); !made.ok()) return made;
    absl::Status made = files.MakeDirectory(path);
    if (!made.ok()) return absl::UnavailableError(made.message());
    return files.Sync(parent.empty() ? "." : parent.string());
  }

  const std::string path_;
  int lock_ = -1;
};

// One backup, from its beginning to its end.
class Making {
 public:
  Making(const BackupOptions& options, Clock& clock, DurableFiles& files)
      : options_(options),
        clock_(clock),
        files_(files),
        source_(absl::StrCat(options.data, "/", DataDirectory::kStoreName)) {}

  absl::StatusOr<BackupMade> Make() {
    absl::Status status = LookAtSource();
    if (!status.ok()) return status;
    Target target(options_.to);
    status = target.Open(files_);
    if (status.ok()) status = target.RemovePartial(files_);
    if (!status.ok()) return status;
    path_ = NewPath();
    partial_ = path_ + kPartial;
    status = files_.MakeDirectory(partial_);
    if (!status.ok()) return absl::UnavailableError(status.message());
    status = Fill();
    if (status.ok()) status = files_.Rename(partial_, path_);
    if (!status.ok()) {
      files_.Remove(partial_).IgnoreError();  // The next one removes it.
      return status;
    }
    status = files_.Sync(options_.to);
    if (!status.ok()) return status;
    return BackupMade{path_, std::move(manifest_)};
  }

 private:
  absl::Status LookAtSource() const {
    std::error_code error;
    if (RestoreIsUnfinished(options_.data)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "a restore into \"", options_.data,
          "\" was interrupted: start the server, or run it again"));
    }
    if (!fs::exists(source_, error)) {
      if (error) {
        return absl::UnavailableError(
            absl::StrCat("cannot read \"", source_, "\": ", error.message()));
      }
      return absl::NotFoundError(
          absl::StrCat("there is no file \"", source_,
                       "\"; is that the --data of the server?"));
    }
    const fs::path data = fs::weakly_canonical(options_.data, error);
    const fs::path to = fs::weakly_canonical(options_.to, error);
    if (std::mismatch(data.begin(), data.end(), to.begin(), to.end()).first ==
        data.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", options_.to, "\" is in the data directory \"",
                       options_.data, "\"; back up to somewhere else"));
    }
    // Before anything is made; and once more in the transaction that is copied.
    SqliteConnection file(source_, "", SqliteConnection::Access::kReadOnly);
    return SchemaOf(file).status();
  }

  static absl::StatusOr<int64_t> SchemaOf(SqliteConnection& file) {
    absl::StatusOr<int64_t> version = SqliteVersion(file, SqliteMigrations());
    if (version.ok() && *version == 0) {
      return absl::NotFoundError(
          absl::StrCat("\"", file.path(), "\" is empty"));
    }
    return version;
  }

  // Of this second, or with a number behind it.
  std::string NewPath() const {
    const std::string path =
        fs::path(options_.to) /
        absl::StrCat(kPrefix,
                     absl::FormatTime("%Y%m%dT%H%M%SZ", clock_.WallNow(),
                                      absl::UTCTimeZone()));
    std::string found = path;
    std::error_code error;
    for (int i = 2; fs::exists(found, error); ++i) {
      found = absl::StrCat(path, "-", i);
    }
    return found;
  }

  // Makes all that is in the folder.
  absl::Status Fill() {
    manifest_.program = options_.program;
    absl::Status status = CopyDatabase();
    if (status.ok()) status = Check();
    if (status.ok()) status = AddDatabase();
    for (const std::string& name : options_.files) {
      if (status.ok()) status = Add(name);
    }
    if (status.ok()) {
      status = files_.Write(absl::StrCat(partial_, "/", BackupManifest::kName),
                            manifest_.Encode());
    }
    return status.ok() ? files_.Sync(partial_) : status;
  }

  std::string database() const {
    return absl::StrCat(partial_, "/", DataDirectory::kStoreName);
  }

  absl::Status CopyDatabase() {
    for (;;) {
      absl::Status status = files_.MakeFile(database());
      if (!status.ok()) return status;
      const absl::StatusOr<bool> copied = TryToCopy();
      if (!copied.ok()) return copied.status();
      if (*copied) return files_.Sync(database());
      status = files_.Remove(database());
      if (!status.ok()) return status;
      Mutex mu;
      CondVar never;
      MutexLock lock(mu);
      clock_.WaitUntil(never, mu, clock_.Now() + kLetGo);
    }
  }

  // False: a server has asked for the file.
  absl::StatusOr<bool> TryToCopy() {
    const std::string mark = DataDirectory::ReadersMark(options_.data);
    SqliteConnection from(source_, "", SqliteConnection::Access::kReadOnly);
    absl::Status status = from.Run("BEGIN");
    if (!status.ok()) return status;
    manifest_.made = clock_.WallNow();
    const absl::StatusOr<int64_t> schema = SchemaOf(from);
    if (!schema.ok()) return schema.status();
    manifest_.schema = *schema;
    status = LookForRoom(from);
    if (!status.ok()) return status;
    SqliteConnection to(database(), "", SqliteConnection::Access::kWrite);
    // What is lost with the machine is a partial backup anyway.
    status = to.Run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
    if (!status.ok()) return status;
    int64_t synced = -1;
    const absl::StatusOr<bool> copied = from.CopyTo(to, [&](int64_t left) {
      if (synced < 0) synced = left;
      if (synced - left >= kUnsyncedBytesMax) {
        synced = left;
        status = files_.Sync(database());
      }
      if (options_.progress) options_.progress(left);
      return status.ok() && DataDirectory::ReadersMark(options_.data) == mark;
    });
    if (!status.ok()) return status;
    return copied;
  }

  // Fails at once if the disk is too small, not after it is full.
  absl::Status LookForRoom(SqliteConnection& from) const {
    const absl::StatusOr<int64_t> pages = from.AskNumber("PRAGMA page_count");
    if (!pages.ok()) return pages.status();
    const absl::StatusOr<int64_t> bytes = from.AskNumber("PRAGMA page_size");
    if (!bytes.ok()) return bytes.status();
    struct statvfs disk = {};
    if (statvfs(options_.to.c_str(), &disk) != 0) return absl::OkStatus();
    const auto room = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
    const auto needed =
        static_cast<uint64_t>(*pages) * static_cast<uint64_t>(*bytes);
    if (room > needed) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat("the disk of \"", options_.to,
                     "\" is too full: a backup "
                     "takes ",
                     needed, " bytes, and it has room for ", room));
  }

  absl::Status Check() {
    SqliteConnection file(database(), "",
                          SqliteConnection::Access::kUnchanging);
    const absl::StatusOr<int64_t> version = SchemaOf(file);
    absl::StatusOr<std::string> damage = file.Ask("PRAGMA quick_check(1)");
    if (absl::IsUnavailable(damage.status())) return damage.status();
    if (!damage.ok()) damage = "it cannot be read to its end";
    if (!version.ok() || *version != manifest_.schema || *damage != "ok") {
      return absl::DataLossError(absl::StrCat(
          "\"", source_, "\" is damaged (",
          absl::StrReplaceAll(*damage, {{"\n", "; "}}),
          "); keep the backups that you have, and run leasehold-server check"));
    }
    if (*version < kFirstSchemaWithLedger) return absl::OkStatus();
    const absl::StatusOr<int64_t> commits =
        file.AskNumber("SELECT commits FROM ledger");
    if (commits.ok()) manifest_.commits = *commits;
    return commits.status();
  }

  absl::Status AddDatabase() {
    const absl::StatusOr<FileSum> sum = DurableFiles::SumOf(database());
    if (sum.ok()) manifest_.files.push_back({DataDirectory::kStoreName, *sum});
    return sum.status();
  }

  absl::Status Add(const std::string& name) {
    const absl::StatusOr<FileSum> sum =
        files_.Copy(absl::StrCat(options_.data, "/", name),
                    absl::StrCat(partial_, "/", name));
    if (sum.ok()) manifest_.files.push_back({name, *sum});
    if (!absl::IsNotFound(sum.status())) return sum.status();
    return files_.Remove(absl::StrCat(partial_, "/", name));
  }

  static constexpr int64_t kFirstSchemaWithLedger = 3;

  const BackupOptions& options_;
  Clock& clock_;
  DurableFiles& files_;
  const std::string source_;
  std::string path_;
  std::string partial_;
  BackupManifest manifest_;
};

}  // namespace

absl::StatusOr<BackupMade> MakeBackup(const BackupOptions& options,
                                      Clock& clock, DurableFiles& files) {
  return Making(options, clock, files).Make();
}

std::vector<std::string> ListBackups(const std::string& directory) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename();
    if (absl::StartsWith(name, kPrefix) &&
        fs::exists(entry.path() / BackupManifest::kName, error) &&
        !absl::EndsWith(name, kPartial)) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace leasehold
