// FileGuard: detects that the database file is no longer the one that the store
// has open.
//
// A process can go on writing a file that others have deleted, replaced or
// truncated without any error, and loses everything when it ends. So the guard
// records which file it was, its length, and when the store last wrote it, and
// compares that with the file of that name: two system calls.
//
// It also guards the log: the latest commits are only there.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_STORAGE_FILE_GUARD_H_
#define LEASEHOLD_SERVICE_STORAGE_FILE_GUARD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace leasehold {

class FileGuard {
 public:
  // `path`: the database; its log is `path`-wal.
  explicit FileGuard(std::string path) : path_(std::move(path)) {}

  // Guards both from now on, in their present state.
  void Begin();
  bool begun() const { return file_.has_value(); }
  // The store itself has written the database.
  void Update();
  // The store has appended to the log, which now has at least this length.
  void SetLogBytes(int64_t bytes) { log_bytes_ = bytes; }

  //   Unavailable: one of them has changed; the message says how.
  absl::Status Check() const;

 private:
  struct Mark {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t bytes = 0;
    int64_t written_ns = 0;
  };

  static std::optional<Mark> MarkOf(const std::string& path);
  absl::Status Foul(const std::string& path, const std::string& what) const;

  const std::string path_;
  std::optional<Mark> file_;
  std::optional<Mark> log_;
  int64_t log_bytes_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_FILE_GUARD_H_
