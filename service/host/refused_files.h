// RefusedFiles: says why files that were read again do not count, once for each
// reason: they are looked at every few seconds.
//
// Thread-safety: one thread.   Lifetime: the log outlives it.
#ifndef LEASEHOLD_SERVICE_HOST_REFUSED_FILES_H_
#define LEASEHOLD_SERVICE_HOST_REFUSED_FILES_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "service/host/server_log.h"

namespace leasehold {

class RefusedFiles {
 public:
  // `event` names the line in the log; `message` says what counts instead.
  RefusedFiles(ServerLog& log, std::string_view event, std::string message)
      : log_(log), event_(event), message_(std::move(message)) {}

  // They cannot be used, because of `why`.
  void OnRefused(const absl::Status& why) {
    if (why.message() == reason_) return;
    reason_ = std::string(why.message());
    log_.Warning(event_, {{"reason", reason_}, {"message", message_}});
  }
  // They can.
  void OnAccepted() { reason_.clear(); }

 private:
  ServerLog& log_;
  const std::string_view event_;
  const std::string message_;
  std::string reason_;  // Why they were last refused.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_REFUSED_FILES_H_
