#include "service/storage/backup_manifest.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

constexpr char kFirstWord[] = "leasehold-backup ";
constexpr int64_t kFormat = 1;
constexpr char kSumWord[] = "sum ";

// So that no name leads out of the folder.
bool IsName(absl::string_view name) {
  if (name.empty() || name[0] == '.') return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '-' && c != '_') {
      return false;
    }
  }
  return name != BackupManifest::kName;
}

bool ReadFileLine(absl::string_view rest, BackupManifest& manifest) {
  const std::vector<absl::string_view> words = absl::StrSplit(rest, ' ');
  BackupManifest::File file;
  if (words.size() != 3 || !absl::SimpleAtoi(words[0], &file.sum.bytes) ||
      words[1].size() != 64 || !IsName(words[2])) {
    return false;
  }
  file.sum.sha256 = std::string(words[1]);
  file.name = std::string(words[2]);
  manifest.files.push_back(std::move(file));
  return true;
}

// A line after the first.
bool ReadLine(absl::string_view line, BackupManifest& manifest) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(line, absl::MaxSplits(' ', 1));
  const auto& [word, rest] = parts;
  if (word == "made") {
    return absl::ParseTime(absl::RFC3339_full, rest, &manifest.made, nullptr);
  }
  if (word == "program") {
    manifest.program = std::string(rest);
    return true;
  }
  if (word == "schema") return absl::SimpleAtoi(rest, &manifest.schema);
  if (word == "commits") return absl::SimpleAtoi(rest, &manifest.commits);
  if (word == "file") return ReadFileLine(rest, manifest);
  return false;
}

}  // namespace

int64_t BackupManifest::bytes() const {
  int64_t sum = 0;
  for (const File& file : files) sum += file.sum.bytes;
  return sum;
}

std::string BackupManifest::Encode() const {
  std::string text = absl::StrCat(
      kFirstWord, kFormat, "\nmade ",
      absl::FormatTime(absl::RFC3339_full, made, absl::UTCTimeZone()),
      "\nprogram ", program, "\nschema ", schema, "\ncommits ", commits, "\n");
  for (const File& file : files) {
    absl::StrAppend(&text, "file ", file.sum.bytes, " ", file.sum.sha256, " ",
                    file.name, "\n");
  }
  return absl::StrCat(text, kSumWord, Sha256Of(text), "\n");
}

absl::StatusOr<BackupManifest> BackupManifest::Decode(std::string_view text,
                                                      const std::string& path) {
  const auto damaged = [&path] {
    return absl::DataLossError(
        absl::StrCat("\"", path, "\" is damaged; use another backup"));
  };
  std::vector<absl::string_view> lines = absl::StrSplit(View(text), '\n');
  absl::string_view format = lines[0];
  int64_t number = 0;
  if (!absl::ConsumePrefix(&format, kFirstWord) ||
      !absl::SimpleAtoi(format, &number)) {
    return damaged();
  }
  if (number > kFormat) {
    return absl::FailedPreconditionError(absl::StrCat(
        "\"", path, "\" is of a newer version of the program (its format is ",
        number, ", and this program reads ", kFormat,
        "); use that version to restore it"));
  }
  const size_t sum_at = text.rfind(absl::StrCat("\n", kSumWord));
  if (sum_at == std::string_view::npos ||
      text.substr(sum_at + 1) !=
          absl::StrCat(kSumWord, Sha256Of(text.substr(0, sum_at + 1)), "\n")) {
    return damaged();
  }
  BackupManifest manifest;
  // But the first, that of the sum, and what is after its end.
  for (size_t i = 1; i + 2 < lines.size(); ++i) {
    if (!ReadLine(lines[i], manifest)) return damaged();
  }
  return manifest;
}

absl::StatusOr<BackupManifest> BackupManifest::Read(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kName);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.is_open() && !file.bad()) return Decode(text, path);
  const int error = errno;
  if (error == ENOENT || error == ENOTDIR) {
    return absl::NotFoundError(
        absl::StrCat("\"", folder, "\" is not a backup: it has no ", kName));
  }
  return absl::UnavailableError(
      absl::StrCat("cannot read \"", path, "\": ", std::strerror(error)));
}

}  // namespace leasehold
