// HistoryFile: a history as a file, for tests that replay it (client/testing).
//
// A line of JSON that says what it is, then a line for each event, as
// --output=json shows it. A file of that name is replaced once everything is
// written; if that fails, it stays as it is.
//
// Thread-safety: one thread.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_HISTORY_FILE_H_
#define LEASEHOLD_CLIENT_CLI_HISTORY_FILE_H_

#include <cstdint>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "client/orchestrations/orchestration_event.h"

namespace leasehold::client::cli {

class HistoryFile {
 public:
  // The history of the orchestration `id`, to be the file `path`.
  HistoryFile(std::string path, const std::string& id);
  // Leaves no file behind that is not complete.
  ~HistoryFile();
  HistoryFile(const HistoryFile&) = delete;
  HistoryFile& operator=(const HistoryFile&) = delete;

  // False: it cannot be written; Close says why.
  bool Write(const OrchestrationEvent& event);
  // Puts the file in its place.
  //   UNKNOWN: it cannot be written; the message names it and says why.
  absl::Status Close();

  int64_t events() const { return events_; }

 private:
  const std::string path_;
  const std::string part_;  // Until it is complete.
  std::ofstream out_;
  int open_error_ = 0;  // Its errno.
  int64_t events_ = 0;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_HISTORY_FILE_H_
