// BackupManifest: what a backup contains, and the checksums that say that it
// still does.
//
// A file of text, `MANIFEST`, beside the files that it names. It is written
// last, so a folder without one is no backup:
//
//   leasehold-backup 1
//   made 2026-03-01T12:00:00.25+00:00
//   program 0.1.0
//   schema 9
//   commits 1764
//   file 40960 <SHA-256 in hexadecimal> leasehold.db
//   file 45 <SHA-256 in hexadecimal> capability-keys
//   sum <SHA-256 of all lines above>
//
// Thread-safety: values.
#ifndef LEASEHOLD_SERVICE_STORAGE_BACKUP_MANIFEST_H_
#define LEASEHOLD_SERVICE_STORAGE_BACKUP_MANIFEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/storage/durable_files.h"

namespace leasehold {

struct BackupManifest {
  static constexpr char kName[] = "MANIFEST";

  struct File {
    std::string name;  // Letters, digits, `.`, `-` and `_`.
    FileSum sum;
    friend bool operator==(const File&, const File&) = default;
  };

  absl::Time made;           // When the state was current that it has.
  std::string program = {};  // The version of the program that made it.
  int64_t schema = 0;        // Of the database.
  int64_t commits = 0;       // How many the database has.
  std::vector<File> files = {};

  int64_t bytes() const;

  std::string Encode() const;
  //   DataLoss: it is damaged; `path` is named.
  //   FailedPrecondition: it was written by a newer program.
  static absl::StatusOr<BackupManifest> Decode(std::string_view text,
                                               const std::string& path);

  // That of the backup in this folder. Errors as Decode, and
  //   NotFound: there is none: it is no backup, or not a whole one.
  //   Unavailable: it cannot be read.
  static absl::StatusOr<BackupManifest> Read(const std::string& folder);

  friend bool operator==(const BackupManifest&,
                         const BackupManifest&) = default;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_BACKUP_MANIFEST_H_
