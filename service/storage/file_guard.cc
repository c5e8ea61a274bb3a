#include "service/storage/file_guard.h"

#include <sys/stat.h>

#include "absl/strings/str_cat.h"

namespace leasehold {

std::optional<FileGuard::Mark> FileGuard::MarkOf(const std::string& path) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0) return std::nullopt;
  return Mark{.device = found.st_dev,
              .inode = found.st_ino,
              .bytes = found.st_size,
              .written_ns = found.st_mtim.tv_sec * int64_t{1'000'000'000} +
                            found.st_mtim.tv_nsec};
}

void FileGuard::Begin() {
  file_ = MarkOf(path_);
  log_ = MarkOf(path_ + "-wal");
  log_bytes_ = 0;
}

void FileGuard::Update() {
  if (!file_.has_value()) return;
  const std::optional<Mark> now = MarkOf(path_);
  if (now.has_value() && now->device == file_->device &&
      now->inode == file_->inode) {
    file_ = now;
  }
}

absl::Status FileGuard::Check() const {
  if (!file_.has_value()) return absl::OkStatus();
  const std::string log_path = path_ + "-wal";
  const std::optional<Mark> now = MarkOf(path_);
  if (!now.has_value()) return Foul(path_, "was deleted");
  if (now->device != file_->device || now->inode != file_->inode) {
    return Foul(path_, "was replaced by another file");
  }
  if (now->bytes < file_->bytes) {
    return Foul(path_, absl::StrCat("was truncated from ", file_->bytes, " to ",
                                    now->bytes, " bytes"));
  }
  if (now->written_ns != file_->written_ns) {
    return Foul(path_, "was written by another program");
  }
  if (!log_.has_value()) return absl::OkStatus();
  const std::optional<Mark> log = MarkOf(log_path);
  if (!log.has_value()) return Foul(log_path, "was deleted");
  if (log->device != log_->device || log->inode != log_->inode) {
    return Foul(log_path, "was replaced by another file");
  }
  if (log->bytes < log_bytes_) {
    return Foul(log_path, absl::StrCat("was truncated to ", log->bytes,
                                       " bytes; it had ", log_bytes_));
  }
  return absl::OkStatus();
}

absl::Status FileGuard::Foul(const std::string& path,
                             const std::string& what) const {
  return absl::UnavailableError(absl::StrCat(
      "\"", path, "\" ", what,
      " while the server runs; put it back as it was, or end the server and "
      "restore a backup"));
}

}  // namespace leasehold
