// StoreRestore: puts a backup (store_backup.h) into a data directory.
//
// A data directory has several files, which belong together, and a restore may
// be killed between any two of them. So all is made ready first, beside them,
// and one rename decides; whatever is left to do then, whoever opens the
// directory next does, be it a server, a check, or the restore again:
//
//   restore.partial/   it is being made: nothing has happened; removed
//   restore.ready/     decided: the former files go into its folder
//   `replaced-…` restore.moving/    they have gone: the new ones come out, the
//   database last
//
//   killed before `ready`: the former state.   After it: the new one.
//
// A restored store goes back in time, but generations must not: none may be
// used twice. How far the store had come is read from the files that are
// replaced, if they are there. Beyond that, the restore leaves room for a
// thousand starts of a server since the backup was made, and one more for each
// minute (kOpensSkipped), and goes on a little further at random, so that two
// restores of one backup do not begin at the same.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_STORAGE_STORE_RESTORE_H_
#define LEASEHOLD_SERVICE_STORAGE_STORE_RESTORE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "lease/clock.h"
#include "service/storage/backup_manifest.h"
#include "service/storage/durable_files.h"

namespace leasehold {

struct RestoreOptions {
  std::string from;  // The folder of the backup.
  std::string data;  // The data directory; made if it is missing.
  // Replaces a store that is there. Its files are kept.
  bool replace = false;
};

struct Restored {
  BackupManifest manifest;  // Of the backup.
  // The folder with the files that were replaced; empty: there were none.
  std::string former = {};
};

// "the backup was made at ...; the former files are in ...".
std::string Describe(const Restored& restored);

// Restores it, and checks it before. OK if an earlier call was interrupted and
// this one has ended it.
//   NotFound, DataLoss: `from` is not a whole backup, or is damaged.
//   FailedPrecondition: a server uses the directory; it is not empty, and
//     `replace` is not set, or it is not a data directory; the backup is of a
//     newer program.
//   Unavailable: something cannot be read or written; the disk is full.
absl::StatusOr<Restored> RestoreBackup(const RestoreOptions& options,
                                       const Clock& clock, DurableFiles& files);

// Whether FinishRestore has something to do.
bool RestoreIsUnfinished(const std::string& directory);

// Ends a restore that was interrupted after it was decided. nullopt: there is
// none. REQUIRES: the caller has locked the directory (DataDirectory).
//   Unavailable: a file cannot be moved. To be called again.
absl::StatusOr<std::optional<Restored>> FinishRestore(
    const std::string& directory, DurableFiles& files);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_STORE_RESTORE_H_
