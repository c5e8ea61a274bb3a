#include "service/host/audit_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/view.h"
#include "service/host/line_writer.h"
#include "service/host/server_log.h"

namespace leasehold {
namespace {

constexpr uint64_t kRefusals = 100;
constexpr absl::Duration kRefusalsSpan = absl::Seconds(10);

std::string_view NameOf(Caller::KnownBy how) {
  switch (how) {
    case Caller::KnownBy::kNothing:
      return "nothing";
    case Caller::KnownBy::kToken:
      return "token";
    case Caller::KnownBy::kJwt:
      return "jwt";
    case Caller::KnownBy::kCertificate:
      return "certificate";
    case Caller::KnownBy::kProcess:
      return "process";
  }
  return "";
}

std::string InstanceOf(const CallReport& report, const std::string& header) {
  if (!report.instance_id.empty()) return std::string(report.instance_id);
  const auto found = report.call.client_metadata().find(header);
  if (found == report.call.client_metadata().end()) return "";
  return {found->second.data(), found->second.size()};
}

}  // namespace

// One file, while it is open.
class AuditLog::File {
 public:
  File(int descriptor, const Clock& clock)
      : descriptor_(descriptor),
        writer_(std::make_unique<LineWriter>(descriptor)),
        log_(clock, *writer_, LogFormat::kJson, /*lifecycle=*/false) {}
  ~File() {
    writer_.reset();  // Writes what is queued.
    close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  ServerLog& log() { return log_; }

 private:
  const int descriptor_;
  std::unique_ptr<LineWriter> writer_;
  ServerLog log_;
};

absl::StatusOr<std::unique_ptr<AuditLog::File>> AuditLog::OpenFile(
    const std::string& path, const Clock& clock) {
  const int descriptor =
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": cannot be written: ", std::strerror(errno)));
  }
  return std::make_unique<File>(descriptor, clock);
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(
    std::string path, std::string instance_header, const Clock& clock) {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(path, clock);
  if (!file.ok()) return file.status();
  return std::unique_ptr<AuditLog>(new AuditLog(
      std::move(path), std::move(instance_header), clock, *std::move(file)));
}

AuditLog::AuditLog(std::string path, std::string instance_header,
                   const Clock& clock, std::unique_ptr<File> file)
    : path_(std::move(path)),
      instance_header_(std::move(instance_header)),
      clock_(clock),
      refusals_(clock, kRefusals, kRefusalsSpan),
      file_(std::move(file)) {}

AuditLog::~AuditLog() = default;

absl::Status AuditLog::Reopen() {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(path_, clock_);
  if (!file.ok()) return file.status();
  std::unique_ptr<File> before = *std::move(file);  // Closed without the lock.
  MutexLock lock(mu_);
  file_.swap(before);
  return absl::OkStatus();
}

bool AuditLog::Watches(const MethodInfo& method) const {
  return method.role == Role::kOperator ||
         method.call_class == CallClass::kStart ||
         method.call_class == CallClass::kEvent || method.name == "Release";
}

void AuditLog::OnEnd(const CallReport& report) {
  const absl::StatusCode code = report.status.code();
  const bool refused =
      report.caller == nullptr || code == absl::StatusCode::kPermissionDenied;
  uint64_t left_out = 0;
  if (refused && !refusals_.Admit(left_out)) return;
  const Caller* const caller = report.caller;
  MutexLock lock(mu_);
  if (left_out > 0) {
    file_->log().Warning("refused", {{"lines_left_out", left_out}});
  }
  file_->log().Write(
      refused ? "WARNING" : "INFO", refused ? "refused" : "allowed",
      {{"method", absl::StrCat(View(report.method.service), "/",
                               View(report.method.name))},
       {"identity", caller == nullptr ? "" : caller->name},
       {"known_by",
        std::string(caller == nullptr ? "" : NameOf(caller->known_by))},
       {"tenant", caller == nullptr ? "" : caller->tenant},
       {"peer", callers_ == nullptr ? report.call.peer()
                                    : callers_->Find(report.call.peer())},
       {"instance_id", InstanceOf(report, instance_header_)},
       {"code", absl::StatusCodeToString(code)}});
}

}  // namespace leasehold
