#include "client/wire/token_file.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lease/base/small_file.h"

namespace leasehold::client {
namespace {

constexpr size_t kBytesMax = size_t{16} << 10;

bool SameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadSmallFile(path);
  if (!text.ok()) return text.status();
  const auto wrong = [&path](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", why, "; it must hold one token, on one line"));
  };
  const absl::string_view token = absl::StripAsciiWhitespace(*text);
  if (token.empty()) return wrong("is empty");
  if (text->size() > kBytesMax) return wrong("is larger than 16 KiB");
  if (absl::StrContains(token, '\n')) return wrong("has more than one line");
  if (absl::StartsWithIgnoreCase(token, "bearer ")) {
    return wrong("begins with \"Bearer\", which is added to the token");
  }
  if (!std::all_of(token.begin(), token.end(), absl::ascii_isgraph)) {
    return wrong("has a character that is not visible ASCII");
  }
  return std::string(token);
}

}  // namespace

bool TokenFile::Stamp::operator==(const Stamp& other) const {
  return is_file == other.is_file && device == other.device &&
         number == other.number && size == other.size &&
         SameTime(written, other.written) && SameTime(changed, other.changed);
}

TokenFile::Stamp TokenFile::StampOf(const std::string& path) {
  struct stat found = {};
  if (stat(path.c_str(), &found) != 0) return {};
  return {S_ISREG(found.st_mode), found.st_dev,  found.st_ino,
          found.st_size,          found.st_mtim, found.st_ctim};
}

TokenFile::TokenFile(std::string path, const Stamp& stamp, std::string token)
    : path_(std::move(path)),
      is_file_(stamp.is_file),
      stamp_(stamp),
      token_(std::move(token)) {}

absl::StatusOr<std::shared_ptr<TokenFile>> TokenFile::Open(std::string path) {
  // Before it is read: what is written meanwhile is read with the next call.
  const Stamp stamp = StampOf(path);
  absl::StatusOr<std::string> token = ReadToken(path);
  if (!token.ok()) return token.status();
  return std::shared_ptr<TokenFile>(
      new TokenFile(std::move(path), stamp, *std::move(token)));
}

std::string TokenFile::Current() {
  MutexLock lock(mu_);
  if (is_file_) ReadLocked();
  return token_;
}

void TokenFile::ReadLocked() {
  const Stamp stamp = StampOf(path_);
  if (stamp == stamp_) return;
  stamp_ = stamp;
  // A pipe in its place would block.
  absl::StatusOr<std::string> token =
      stamp.is_file ? ReadToken(path_)
                    : absl::InvalidArgumentError(
                          absl::StrCat(path_, ": is not a file any more"));
  status_ = token.status();
  if (token.ok()) token_ = *std::move(token);
}

absl::Status TokenFile::status() const {
  MutexLock lock(mu_);
  return status_;
}

}  // namespace leasehold::client
