#include "service/http/ui_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "service/base/hash.h"
#include "service/http/ui_assets.h"

namespace leasehold {
namespace {

// Letters, digits, `-`, `_` and dots, of which none is the first.
bool IsPlain(std::string_view name) {
  return !name.empty() && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
         });
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  const int number_;
};

// False: it cannot be read, or is too long.
bool ReadAll(int descriptor, std::string& bytes) {
  char part[16 << 10];
  for (;;) {
    const ssize_t size = read(descriptor, part, sizeof(part));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    if (size == 0) return true;
    bytes.append(part, static_cast<size_t>(size));
    if (bytes.size() > UiFolder::kFileBytesMax) return false;
  }
}

}  // namespace

absl::Status UiFolder::Check() const {
  if (Read(kUiShell).ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "must be a folder with the dashboard's files, among them index.html, and "
      "is ",
      QuoteForMessage(path_)));
}

absl::StatusOr<UiFolder::File> UiFolder::Read(std::string_view name) const {
  const absl::Status none = absl::NotFoundError(
      absl::StrCat("the dashboard has no file ", QuoteForMessage(name)));
  if (!IsPlain(name) || UiTypeOf(name) == nullptr) return none;
  const Descriptor folder(
      open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.number() < 0) return none;
  // O_NONBLOCK: opening a pipe would wait for whoever writes to it.
  const Descriptor file(openat(folder.number(), std::string(name).c_str(),
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat about = {};
  if (file.number() < 0 || fstat(file.number(), &about) != 0 ||
      !S_ISREG(about.st_mode)) {
    return none;
  }
  File read;
  if (!ReadAll(file.number(), read.bytes)) return none;
  read.etag = absl::StrCat(
      "\"", absl::Hex(KeyHash(name, read.bytes), absl::kZeroPad16), "\"");
  return read;
}

}  // namespace leasehold
