// StoreBackup: a copy of a data directory, made while a server uses it.
//
// The database is read by SQLite's online backup, in one read transaction: the
// copy is the state at one moment, with all that was acknowledged before.
// Neither reads nor commits of the server wait for it; only the server's log
// cannot begin anew meanwhile, and grows. A server that starts needs the file
// for itself (DataDirectory::AskReadersToLetGo): then the copy begins again.
//
//   TO/leasehold-20260301T120000Z.partial/   while it is being written
//   TO/leasehold-20260301T120000Z/           whole: checked, synced, renamed
//     leasehold.db  capability-keys  MANIFEST
//
// What a killed backup leaves behind is removed by the next one into `TO`.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_STORAGE_STORE_BACKUP_H_
#define LEASEHOLD_SERVICE_STORAGE_STORE_BACKUP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lease/clock.h"
#include "service/storage/backup_manifest.h"
#include "service/storage/durable_files.h"

namespace leasehold {

struct BackupOptions {
  std::string data;     // The data directory.
  std::string to;       // The directory for backups; made if it is missing.
  std::string program;  // The version of this program.
  // Further files of the data directory that belong to a backup, if they are
  // there. Whoever writes them replaces them as a whole.
  std::vector<std::string> files = {};
  // Called after every few megabytes, with the bytes that are left.
  std::function<void(int64_t bytes_left)> progress = {};
};

struct BackupMade {
  std::string path;  // The folder.
  BackupManifest manifest;
};

// Makes one. After an error there is none, and nothing that looks like one.
//   NotFound: the data directory has no database.
//   FailedPrecondition: it is not one of ours, or has a newer schema; or
//     another backup into the same directory is being made.
//   InvalidArgument: `to` is in the data directory.
//   DataLoss: the database is damaged.
//   Unavailable: something cannot be read or written; the disk is full.
absl::StatusOr<BackupMade> MakeBackup(const BackupOptions& options,
                                      Clock& clock, DurableFiles& files);

// The folders with backups in a directory, oldest first.
std::vector<std::string> ListBackups(const std::string& directory);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_STORE_BACKUP_H_
