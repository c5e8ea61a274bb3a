// DataDirectory: the folder in which one server, and no other, keeps its data.
//
// The lock is flock on the directory itself, which cannot be deleted while it
// contains a file, and on a file in it; the kernel releases both when the
// process ends, however it ends. The lock file names the holder, for people to
// read:
//
//   pid 4711
//   since 2026-03-01T12:00:00+00:00
//
// Thread-safety: one thread.   Lifetime: the lock is held as long as the object
// lives; the file stays.
#ifndef LEASEHOLD_SERVICE_STORAGE_DATA_DIRECTORY_H_
#define LEASEHOLD_SERVICE_STORAGE_DATA_DIRECTORY_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lease/clock.h"

namespace leasehold {

class DataDirectory {
 public:
  // The names of the files in it.
  static constexpr char kStoreName[] = "leasehold.db";
  static constexpr char kWitnessName[] = "leasehold.witness";

  // Locks the directory; creates it, accessible only to this user, if missing.
  //   FailedPrecondition: another process has locked it; the message names
  //     directory and process.
  //   Unavailable: it cannot be created or written.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Lock(
      const std::string& path, const Clock& clock);

  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  // Makes the names of the files in it durable: syncing a new file alone may
  // not do so.
  //   Unavailable: the system reports an error.
  absl::Status Sync() const;

  // Asks programs that read the files at length, as a backup does, to let go of
  // them for a moment: this one is about to copy the log into the file, which
  // takes that nobody reads.
  void AskReadersToLetGo() const;
  // What such a program compares: it changes when a server asks, or begins to
  // use the directory. May be called while another process has the lock.
  static std::string ReadersMark(const std::string& path);

 private:
  explicit DataDirectory(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  // Descriptors; -1: none yet.
  int directory_ = -1;
  int lock_ = -1;  // Of the lock file.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_DATA_DIRECTORY_H_
