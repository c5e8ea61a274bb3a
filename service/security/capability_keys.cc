#include "service/security/capability_keys.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lease/base/small_file.h"
#include "service/security/secret.h"

namespace leasehold {
namespace {

constexpr char kFileName[] = "capability-keys";
constexpr size_t kIdBytes = 6;

std::string Encode(const std::string& bytes) {
  return absl::WebSafeBase64Escape(bytes);
}

CapabilityKeys::Key KeyOf(std::string bytes) {
  const std::string hashed = "leasehold-url-key-id" + bytes;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(hashed.data()), hashed.size(),
         digest.data());
  const std::string id(reinterpret_cast<const char*>(digest.data()), kIdBytes);
  return {.id = Encode(id), .bytes = std::move(bytes)};
}

CapabilityKeys::Key NewKey() {
  return KeyOf(RandomBytes(CapabilityKeys::kKeyBytes));
}

absl::StatusOr<std::vector<CapabilityKeys::Key>> Parse(
    const std::string& path, const std::string& text) {
  std::vector<CapabilityKeys::Key> keys;
  size_t number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || absl::StartsWith(line, "#")) continue;
    std::string bytes;
    if (!absl::WebSafeBase64Unescape(line, &bytes) ||
        bytes.size() != CapabilityKeys::kKeyBytes || Encode(bytes) != line) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": line ", number, " is not a key: ", CapabilityKeys::kKeyBytes,
          " random bytes in base64url"));
    }
    keys.push_back(KeyOf(std::move(bytes)));
    if (keys.size() == 2 && keys[0].bytes == keys[1].bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": line ", number, " is the first key again"));
    }
  }
  if (keys.empty() || keys.size() > CapabilityKeys::kKeysMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": holds ", keys.size(),
                     " keys; it needs the one that signs, and "
                     "may have one more that is still valid"));
  }
  return keys;
}

absl::Status Failed(absl::string_view what, const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(errno)));
}

absl::Status WriteAll(int descriptor, const std::string& path,
                      absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed("write", path);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(descriptor) == 0 ? absl::OkStatus() : Failed("sync", path);
}

// Writes a file that only this user can read, and syncs it; whatever was there
// is gone.
absl::Status WriteSecret(const std::string& path, const std::string& text) {
  // Of a server that ended before it was done; its permissions may be others.
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return Failed("remove", path);
  }
  const int file =
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return Failed("create", path);
  absl::Status status = WriteAll(file, path, text);
  close(file);
  return status;
}

// The folder that a file is in.
std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Puts these keys in place of those in the file, at once or not at all.
absl::Status Write(const std::string& path,
                   const std::vector<CapabilityKeys::Key>& keys) {
  const std::string directory = FolderOf(path);
  const std::string next = absl::StrCat(path, ".new");
  std::string text =
      "# Secret keys of capability URLs: the first one signs, all are valid.\n";
  for (const CapabilityKeys::Key& key : keys) {
    absl::StrAppend(&text, Encode(key.bytes), "\n");
  }
  if (absl::Status status = WriteSecret(next, text); !status.ok()) {
    return status;
  }
  if (std::rename(next.c_str(), path.c_str()) != 0) {
    return Failed("replace", path);
  }
  const int names = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (names < 0) return Failed("open", directory);
  const bool synced = fsync(names) == 0;
  absl::Status status = synced ? absl::OkStatus() : Failed("sync", directory);
  close(names);
  return status;
}

// Those in the file; none if there is no file.
absl::StatusOr<std::vector<CapabilityKeys::Key>> ReadIfThere(
    const std::string& path) {
  struct stat found = {};
  if (stat(path.c_str(), &found) != 0 && errno == ENOENT) {
    return std::vector<CapabilityKeys::Key>();
  }
  const absl::StatusOr<std::string> text = ReadSmallFile(path);
  if (!text.ok()) return text.status();
  return Parse(path, *text);
}

}  // namespace

absl::StatusOr<CapabilityKeys> CapabilityKeys::ReadFile(
    const std::string& path) {
  const absl::StatusOr<std::string> text = ReadSmallFile(path);
  if (!text.ok()) return text.status();
  absl::StatusOr<std::vector<Key>> keys = Parse(path, *text);
  if (!keys.ok()) return keys.status();
  return CapabilityKeys(*std::move(keys));
}

std::string CapabilityKeys::FileIn(const std::string& directory) {
  return absl::StrCat(directory, "/", kFileName);
}

absl::StatusOr<CapabilityKeys> CapabilityKeys::OpenIn(
    const std::string& directory) {
  const std::string path = FileIn(directory);
  absl::StatusOr<std::vector<Key>> keys = ReadIfThere(path);
  if (!keys.ok()) return keys.status();
  if (keys->empty()) {
    keys->push_back(NewKey());
    if (absl::Status status = Write(path, *keys); !status.ok()) return status;
  }
  return CapabilityKeys(*std::move(keys));
}

absl::StatusOr<CapabilityKeys> CapabilityKeys::Rotate(const std::string& path) {
  absl::StatusOr<std::vector<Key>> keys = ReadIfThere(path);
  if (!keys.ok()) return keys.status();
  keys->insert(keys->begin(), NewKey());
  if (keys->size() > kKeysMax) keys->resize(kKeysMax);
  if (absl::Status status = Write(path, *keys); !status.ok()) return status;
  return CapabilityKeys(*std::move(keys));
}

CapabilityKeys CapabilityKeys::ForProcess() {
  return CapabilityKeys({NewKey()});
}

const CapabilityKeys::Key* CapabilityKeys::Find(std::string_view id) const {
  const auto found =
      std::find_if(keys_.begin(), keys_.end(),
                   [id](const Key& key) { return key.id == id; });
  return found == keys_.end() ? nullptr : &*found;
}

}  // namespace leasehold
