#include "service/storage/durable_files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

absl::Status FileFailed(absl::string_view what, const std::string& path,
                        int error) {
  const std::string message =
      absl::StrCat("cannot ", what, " \"", path, "\": ", std::strerror(error));
  if (error == EEXIST || error == ENOTEMPTY) {
    return absl::AlreadyExistsError(message);
  }
  if (error == ENOENT) return absl::NotFoundError(message);
  return absl::UnavailableError(message);
}

// Closes a descriptor at its end.
struct Closer {
  explicit Closer(int descriptor) : file(descriptor) {}
  ~Closer() { close(file); }
  Closer(const Closer&) = delete;
  Closer& operator=(const Closer&) = delete;
  const int file;
};

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void Add(std::string_view bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }
  // Ends it.
  std::string Hex() {
    std::array<char, 32> digest;
    EVP_DigestFinal_ex(context_.get(),
                       reinterpret_cast<unsigned char*>(digest.data()),
                       nullptr);
    return absl::BytesToHexString(
        absl::string_view(digest.data(), digest.size()));
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

// Returns 0 or the system's error.
int WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

// Makes the file `path`, has `write` fill it, and syncs it.
template <typename Fill>
absl::Status MakeWith(const std::string& path, Fill fill) {
  const int file =
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return FileFailed("create", path, errno);
  const Closer closer(file);
  absl::Status status = fill(file);
  if (!status.ok()) return status;
  if (fsync(file) != 0) return FileFailed("sync", path, errno);
  return absl::OkStatus();
}

// Reads a file to its end: calls `each` with its bytes.
template <typename Each>
absl::StatusOr<FileSum> Read(const std::string& path, Each each) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FileFailed("open", path, errno);
  const Closer closer(file);
  std::vector<char> buffer(kBufferBytes);
  Sha256 sum;
  FileSum found;
  for (;;) {
    const ssize_t size = read(file, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FileFailed("read", path, errno);
    if (size == 0) break;
    const std::string_view bytes(buffer.data(), static_cast<size_t>(size));
    sum.Add(bytes);
    found.bytes += size;
    if (absl::Status status = each(bytes); !status.ok()) return status;
  }
  found.sha256 = sum.Hex();
  return found;
}

}  // namespace

std::string Sha256Of(std::string_view text) {
  Sha256 sum;
  sum.Add(text);
  return sum.Hex();
}

absl::Status DurableFiles::MakeDirectory(const std::string& path) {
  if (absl::Status status = Step(); !status.ok()) return status;
  if (mkdir(path.c_str(), 0700) != 0) {
    return FileFailed("create directory", path, errno);
  }
  return absl::OkStatus();
}

absl::Status DurableFiles::MakeFile(const std::string& path) {
  return Write(path, "");
}

absl::Status DurableFiles::Write(const std::string& path,
                                 std::string_view text) {
  if (absl::Status status = Step(); !status.ok()) return status;
  return MakeWith(path, [&](int file) {
    const int error = WriteAll(file, text);
    return error == 0 ? absl::OkStatus() : FileFailed("write", path, error);
  });
}

absl::StatusOr<FileSum> DurableFiles::Copy(const std::string& from,
                                           const std::string& to) {
  if (absl::Status status = Step(); !status.ok()) return status;
  absl::StatusOr<FileSum> copied;
  const absl::Status made = MakeWith(to, [&](int file) {
    copied = Read(from, [&](std::string_view bytes) {
      const int error = WriteAll(file, bytes);
      return error == 0 ? absl::OkStatus() : FileFailed("write", to, error);
    });
    return copied.status();
  });
  if (!made.ok()) return made;
  return copied;
}

absl::Status DurableFiles::Sync(const std::string& path) {
  if (absl::Status status = Step(); !status.ok()) return status;
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FileFailed("open", path, errno);
  const int error = fsync(file) == 0 ? 0 : errno;
  close(file);
  return error == 0 ? absl::OkStatus() : FileFailed("sync", path, error);
}

absl::Status DurableFiles::Rename(const std::string& from,
                                  const std::string& to) {
  if (absl::Status status = Step(); !status.ok()) return status;
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(),
                RENAME_NOREPLACE) == 0) {
    return absl::OkStatus();
  }
  const std::string what = absl::StrCat("rename \"", from, "\" to");
  // Some file systems cannot say that nothing is to be replaced.
  if (errno != EINVAL) return FileFailed(what, to, errno);
  if (access(to.c_str(), F_OK) == 0) return FileFailed(what, to, EEXIST);
  if (rename(from.c_str(), to.c_str()) != 0) return FileFailed(what, to, errno);
  return absl::OkStatus();
}

absl::Status DurableFiles::Remove(const std::string& path) {
  if (absl::Status status = Step(); !status.ok()) return status;
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return error ? FileFailed("remove", path, error.value()) : absl::OkStatus();
}

absl::Status DurableFiles::GiveToOwnerOf(const std::string& like,
                                         const std::string& path) {
  if (geteuid() != 0) return absl::OkStatus();
  if (absl::Status status = Step(); !status.ok()) return status;
  struct stat owner = {};
  if (stat(like.c_str(), &owner) != 0) return FileFailed("find", like, errno);
  if (lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0) {
    return FileFailed("change the owner of", path, errno);
  }
  return absl::OkStatus();
}

absl::StatusOr<FileSum> DurableFiles::SumOf(const std::string& path) {
  return Read(path, [](std::string_view) { return absl::OkStatus(); });
}

}  // namespace leasehold
