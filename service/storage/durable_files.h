// DurableFiles: changes of files that survive a loss of power, one at a time.
//
// A file is synced when the call that wrote it returns. Names are not: Sync of
// the directory makes those durable that were made, renamed or removed in it.
// Everything belongs to this user alone.
//
// Each call is one step: tests let the n-th fail, and all after it, which is
// what a process that is killed there leaves behind.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_STORAGE_DURABLE_FILES_H_
#define LEASEHOLD_SERVICE_STORAGE_DURABLE_FILES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace leasehold {

struct FileSum {
  int64_t bytes = 0;
  std::string sha256;  // In hexadecimal, as sha256sum prints it.

  friend bool operator==(const FileSum&, const FileSum&) = default;
};

// SHA-256 of a text, in hexadecimal.
std::string Sha256Of(std::string_view text);

// All calls return Unavailable if the system reports an error; the message
// names the file and the reason.
class DurableFiles {
 public:
  // For tests: asked before each step; if it is not OK, the step fails with it
  // and changes nothing.
  using Before = std::function<absl::Status()>;

  explicit DurableFiles(Before before = {}) : before_(std::move(before)) {}

  // Makes a directory. AlreadyExists: something has that name.
  absl::Status MakeDirectory(const std::string& path);
  // Makes an empty file. AlreadyExists: something has that name.
  absl::Status MakeFile(const std::string& path);
  // Makes a file with this text. AlreadyExists: something has that name.
  absl::Status Write(const std::string& path, std::string_view text);
  // Copies a file, and returns what was copied. AlreadyExists: something has
  // the name `to`.   NotFound: there is no file `from`.
  absl::StatusOr<FileSum> Copy(const std::string& from, const std::string& to);
  // Syncs a file, or the names in a directory.
  absl::Status Sync(const std::string& path);
  // AlreadyExists: something has the name `to`; nothing is ever replaced.
  absl::Status Rename(const std::string& from, const std::string& to);
  // Removes a file, or a directory with its contents. OK if there is none.
  absl::Status Remove(const std::string& path);
  // For root, who acts for a server that runs as somebody else: gives the file
  // or directory to whoever owns `like`. For others it does nothing.
  absl::Status GiveToOwnerOf(const std::string& like, const std::string& path);

  // What a file has. Changes nothing.   NotFound: there is none.
  static absl::StatusOr<FileSum> SumOf(const std::string& path);

 private:
  absl::Status Step() const { return before_ ? before_() : absl::OkStatus(); }

  const Before before_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_DURABLE_FILES_H_
