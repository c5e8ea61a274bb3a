// SqliteCheck: checks every row of a SqliteStore's file that no server has
// open.
//
// It checks what a server checks when it starts, and also what a server would
// only find later: finished orchestrations, all histories, the indexes, however
// long it takes. It continues past unreadable rows. Only AcceptWhatIsThere
// changes the file.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_CHECK_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_CHECK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lease/clock.h"
#include "service/storage/data_directory.h"
#include "service/storage/records.h"

namespace leasehold {

// Only the writers of a row know the format of its bytes. Each decoder says
// whether bytes can be decoded.
struct RowDecoders {
  using Decoder = std::function<bool(std::string_view bytes)>;
  Decoder summary;
  Decoder events;  // A chunk of a history.
  Decoder event;   // A message.
  Decoder task;
};

struct CheckReport {
  struct Run {
    std::string tenant;
    std::string id;     // As far as it can be read.
    std::string state;  // `open`, `finished`, `replaced`, or `missing`.
    std::vector<std::string> damage;
  };

  std::map<std::string, int64_t> rows;  // By table.
  std::vector<std::string> damage;      // Of the file as a whole.
  std::map<RunNumber, Run> runs;        // The damaged ones.

  bool whole() const { return damage.empty() && runs.empty(); }
};

class SqliteCheck {
 public:
  // Locks the data directory; ends a restore that was interrupted.
  //   FailedPrecondition: a server uses it, or its schema version differs.
  //   NotFound: there is no file.   Unavailable: as Store::Open.
  static absl::StatusOr<std::unique_ptr<SqliteCheck>> Begin(
      const std::string& directory, const Clock& clock);

  CheckReport Look(const RowDecoders& decoders);

  // Writes what is left of the damaged runs to `path`, one line of JSON per
  // row: its table, its numbers, and its bytes in base64.
  //   Unavailable: it cannot be written.
  absl::Status Export(const CheckReport& report, const std::string& path);

  // Makes the next server accept the present contents as complete.
  //   DataLoss, Unavailable: as Store::Open.
  absl::Status AcceptWhatIsThere();

  const std::string& path() const { return path_; }

 private:
  SqliteCheck(std::string directory, std::unique_ptr<DataDirectory> lock);

  const std::string directory_;
  const std::string path_;
  const std::unique_ptr<DataDirectory> lock_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_CHECK_H_
