// DataDirectory: the folder that one server, and no other, keeps its data in.
//
// The lock is flock on a file in it, which the kernel lets go of when the
// process ends, however it ends. The file says who holds it, for people:
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

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lease/clock.h"

namespace leasehold {

class DataDirectory {
 public:
  // Takes the directory; creates it, for this user alone, if it is missing.
  //   FailedPrecondition: another process has it; the message names directory
  //     and process.
  //   Unavailable: it cannot be created or written.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Lock(
      const std::string& path, const Clock& clock);

  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  // Makes the names of the files in it durable: syncing a new file need not.
  //   Unavailable: the machine says no.
  absl::Status Sync() const;

 private:
  DataDirectory(std::string path, int lock) : path_(path), lock_(lock) {}

  const std::string path_;
  const int lock_;  // The descriptor of the lock file.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_DATA_DIRECTORY_H_
