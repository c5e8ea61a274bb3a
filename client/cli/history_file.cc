#include "client/cli/history_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/history_view.h"
#include "client/cli/json_object.h"
#include "client/cli/printable.h"

namespace leasehold::client::cli {

HistoryFile::HistoryFile(std::string path, const std::string& id)
    : path_(std::move(path)), part_(path_ + ".part") {
  errno = 0;
  out_.open(part_, std::ios::binary | std::ios::trunc);
  open_error_ = errno;
  out_ << JsonObject()
              .Text("format", "leasehold.history.v1")
              .Text("instance_id", id)
              .line();
}

HistoryFile::~HistoryFile() {
  if (!out_.is_open()) return;
  out_.close();
  std::remove(part_.c_str());
}

bool HistoryFile::Write(const OrchestrationEvent& event) {
  ++events_;
  return static_cast<bool>(out_ << EventJson(event).line());
}

absl::Status HistoryFile::Close() {
  const bool opened = out_.is_open();
  errno = opened ? 0 : open_error_;
  if (opened) out_.close();
  if (opened && out_ && std::rename(part_.c_str(), path_.c_str()) == 0) {
    return absl::OkStatus();
  }
  const int error = errno;
  if (opened) std::remove(part_.c_str());
  return absl::UnknownError(
      absl::StrCat("--export: cannot write ", Printable(path_),
                   error == 0 ? "" : absl::StrCat(": ", std::strerror(error))));
}

}  // namespace leasehold::client::cli
