#include "service/storage/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

namespace leasehold {
namespace {

constexpr char kLockName[] = "leasehold.lock";

absl::Status Failed(std::string_view what, const std::string& path, int error) {
  return absl::UnavailableError(
      absl::StrCat("cannot ", absl::string_view(what.data(), what.size()),
                   " \"", path, "\": ", std::strerror(error)));
}

// Syncs a directory: the names in it.
absl::Status SyncNames(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Failed("open data directory", path, errno);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  if (error != 0) return Failed("sync data directory", path, error);
  return absl::OkStatus();
}

absl::Status Create(const std::string& path) {
  const std::filesystem::path parent =
      std::filesystem::path(path + "/.").parent_path().parent_path();
  std::error_code error;
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return Failed("create", parent.string(), error.value());
  if (mkdir(path.c_str(), 0700) == 0) {
    return SyncNames(parent.empty() ? "." : parent.string());
  }
  if (errno != EEXIST) return Failed("create data directory", path, errno);
  return absl::OkStatus();
}

// Describes the holder from the lock file; never empty.
std::string Holder(int lock) {
  std::array<char, 256> text;
  const ssize_t size = pread(lock, text.data(), text.size(), 0);
  const std::string_view said(text.data(), size > 0 ? size : 0);
  const std::string_view pid = "pid ";
  const size_t pid_end = said.find('\n');
  if (!said.starts_with(pid) || pid_end == std::string_view::npos) {
    return "another process";
  }
  std::string holder = "process ";
  holder += said.substr(pid.size(), pid_end - pid.size());
  const std::string_view rest = said.substr(pid_end + 1);
  const size_t rest_end = rest.find('\n');
  if (rest.starts_with("since ") && rest_end != std::string_view::npos) {
    holder += ", ";
    holder += rest.substr(0, rest_end);
  }
  return holder;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Lock(
    const std::string& path, const Clock& clock) {
  if (absl::Status created = Create(path); !created.ok()) return created;
  const std::string lock_path = absl::StrCat(path, "/", kLockName);
  std::unique_ptr<DataDirectory> directory(new DataDirectory(path));
  int& lock = directory->lock_;
  lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return Failed("open", lock_path, errno);
  directory->directory_ =
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory->directory_ < 0) return Failed("open", path, errno);

  // Root may act for a server that runs as somebody else.
  struct stat owner = {};
  if (geteuid() == 0 && fstat(directory->directory_, &owner) == 0 &&
      fchown(lock, owner.st_uid, owner.st_gid) != 0) {
    return Failed("change the owner of", lock_path, errno);
  }

  // The lock file of an earlier server may have been deleted and created again:
  // that server still has the lock of the directory.
  for (const int held : {lock, directory->directory_}) {
    if (flock(held, LOCK_EX | LOCK_NB) == 0) continue;
    if (errno != EWOULDBLOCK) return Failed("lock", lock_path, errno);
    return absl::FailedPreconditionError(
        absl::StrCat("data directory \"", path, "\" is in use by ",
                     Holder(lock), "; each server needs its own"));
  }
  const std::string holder = absl::StrCat(
      "pid ", getpid(), "\nsince ",
      absl::FormatTime(absl::RFC3339_sec, clock.WallNow(), absl::UTCTimeZone()),
      "\n");
  if (ftruncate(lock, 0) != 0 ||
      pwrite(lock, holder.data(), holder.size(), 0) !=
          static_cast<ssize_t>(holder.size())) {
    return Failed("write", lock_path, errno);
  }
  return directory;
}

DataDirectory::~DataDirectory() {
  if (lock_ >= 0) close(lock_);
  if (directory_ >= 0) close(directory_);
}

void DataDirectory::AskReadersToLetGo() const {
  futimens(lock_, nullptr);  // If it fails, they are in the way: no harm else.
}

std::string DataDirectory::ReadersMark(const std::string& path) {
  struct stat found = {};
  const std::string lock_path = absl::StrCat(path, "/", kLockName);
  if (stat(lock_path.c_str(), &found) != 0) return "";
  return absl::StrCat(found.st_ino, ":", found.st_mtim.tv_sec, ".",
                      found.st_mtim.tv_nsec);
}

absl::Status DataDirectory::Sync() const { return SyncNames(path_); }

}  // namespace leasehold
