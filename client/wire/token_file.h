// TokenFile: a bearer token in a file, which may be replaced at any time.
//
// Whoever issues short-lived tokens replaces the file; the next call that
// starts has the new one. If the file is missing, or what it has cannot be a
// token, the last good one stays in use.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_CLIENT_WIRE_TOKEN_FILE_H_
#define LEASEHOLD_CLIENT_WIRE_TOKEN_FILE_H_

#include <sys/stat.h>

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lease/base/mutex.h"

namespace leasehold::client {

class TokenFile {
 public:
  // Reads it for the first time. A pipe, as the shell's <(…) makes, is not read
  // again.
  //   InvalidArgument: it cannot be read, or is not one line of visible ASCII
  //     of at most 16 KiB; the message begins with `path` and never quotes it.
  static absl::StatusOr<std::shared_ptr<TokenFile>> Open(std::string path);

  TokenFile(const TokenFile&) = delete;
  TokenFile& operator=(const TokenFile&) = delete;

  const std::string& path() const { return path_; }

  // The token for a call that starts now. Asks for the file's state, and reads
  // it if that has changed.
  std::string Current() ABSL_LOCKS_EXCLUDED(mu_);

  // Why what Current found in the file is not in use; OK if it is.
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // What changes with a file's content, or if another file takes its place.
  struct Stamp {
    bool is_file = false;
    dev_t device = 0;
    ino_t number = 0;
    off_t size = 0;
    timespec written = {};
    timespec changed = {};

    bool operator==(const Stamp& other) const;
  };

  TokenFile(std::string path, const Stamp& stamp, std::string token);

  static Stamp StampOf(const std::string& path);
  void ReadLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const std::string path_;
  const bool is_file_;

  // Guarded by mu_.
  mutable Mutex mu_;
  Stamp stamp_ ABSL_GUARDED_BY(mu_);
  std::string token_ ABSL_GUARDED_BY(mu_);
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_WIRE_TOKEN_FILE_H_
