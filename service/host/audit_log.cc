#include "service/host/audit_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/view.h"
#include "service/host/line_writer.h"
#include "service/host/server_log.h"
#include "service/http/session_api.h"

namespace leasehold {
namespace {

// Refusals in a span: of strangers, and of those who are known.
constexpr uint64_t kOfStrangers = 100;
constexpr uint64_t kOfKnown = 1000;
constexpr absl::Duration kSpan = absl::Seconds(10);

// For people, and never longer than a few IDs.
std::string InstanceOf(const CallReport& report, const std::string& header) {
  constexpr size_t kBytesMax = 1024;
  if (!report.instance_id.empty()) {
    return std::string(report.instance_id.substr(0, kBytesMax));
  }
  // Where a method may name many, the header names none; nor does it ever in
  // the contract of Durable Task.
  const bool by_header = report.method.service.starts_with("leasehold.") &&
                         report.method.name != "PurgeMany";
  const auto found = report.call.client_metadata().find(header);
  if (!by_header || found == report.call.client_metadata().end()) return "";
  return std::string(found->second.data(),
                     std::min(found->second.size(), kBytesMax));
}

}  // namespace

// One file, while it is open.
class AuditLog::File {
 public:
  File(int descriptor, const Clock& clock)
      : descriptor_(descriptor),
        writer_(std::make_unique<LineWriter>(
            descriptor,
            [](size_t lines) {
              return absl::StrCat(
                  "{\"severity\":\"ERROR\",\"event\":\"lost\",\"lines\":",
                  lines, "}");
            })),
        log_(clock, *writer_, LogFormat::kJson) {}
  ~File() {
    writer_.reset();  // Writes what is queued.
    close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  ServerLog& log() { return log_; }
  // Whether something could not be written.
  bool failed() const { return writer_->failed(); }

 private:
  const int descriptor_;
  std::unique_ptr<LineWriter> writer_;
  ServerLog log_;
};

absl::StatusOr<std::shared_ptr<AuditLog::File>> AuditLog::OpenFile(
    const std::string& path, const Clock& clock) {
  const int descriptor =
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK,
           0600);
  if (descriptor < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": cannot be written: ", std::strerror(errno)));
  }
  struct stat status = {};
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(descriptor);
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not a file: lines could be lost in it"));
  }
  return std::make_shared<File>(descriptor, clock);
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(
    std::string path, std::string instance_header, const Clock& clock) {
  absl::StatusOr<std::shared_ptr<File>> file = OpenFile(path, clock);
  if (!file.ok()) return file.status();
  return std::unique_ptr<AuditLog>(new AuditLog(
      std::move(path), std::move(instance_header), clock, *std::move(file)));
}

AuditLog::AuditLog(std::string path, std::string instance_header,
                   const Clock& clock, std::shared_ptr<File> file)
    : path_(std::move(path)),
      instance_header_(std::move(instance_header)),
      clock_(clock),
      strangers_(clock, kOfStrangers, kSpan),
      known_(clock, kOfKnown, kSpan),
      file_(std::move(file)) {}

AuditLog::~AuditLog() = default;

absl::Status AuditLog::Reopen() {
  absl::StatusOr<std::shared_ptr<File>> file = OpenFile(path_, clock_);
  if (!file.ok()) return file.status();
  std::shared_ptr<File> before = *std::move(file);  // Closed without the lock.
  MutexLock lock(mu_);
  file_.swap(before);
  return absl::OkStatus();
}

bool AuditLog::failed() {
  MutexLock lock(mu_);
  return file_->failed();
}

bool AuditLog::Watches(const MethodInfo& method) const {
  // Echoes change nothing that stays.
  return method.role == Role::kOperator || method.service == kSessionService ||
         (method.role == Role::kUser && method.service != "leasehold.v1.Echo");
}

void AuditLog::OnEnd(const CallReport& report) {
  Note({.method = report.method,
        .caller = report.caller,
        .known_by = "",
        .refused = report.refused || absl::IsPermissionDenied(report.status),
        .peer = callers_ == nullptr ? report.call.peer()
                                    : callers_->Find(report.call.peer()),
        .instance_id = InstanceOf(report, instance_header_),
        .code = report.status.code()});
}

void AuditLog::Note(const Entry& entry) {
  const Caller* const caller = entry.caller;
  const bool refused =
      entry.refused || entry.code == absl::StatusCode::kPermissionDenied;
  uint64_t left_out = 0;
  if (refused && !(caller == nullptr ? strangers_ : known_).Admit(left_out)) {
    return;
  }
  const char* event = refused                               ? "refused"
                      : entry.code == absl::StatusCode::kOk ? "done"
                                                            : "failed";
  std::string known_by = entry.known_by;
  if (known_by.empty() && caller != nullptr) {
    known_by = std::string(NameOf(caller->known_by));
  }
  const std::vector<ServerLog::Field> fields = {
      {"method",
       absl::StrCat(View(entry.method.service), "/", View(entry.method.name))},
      {"identity", caller == nullptr ? "" : caller->name},
      {"known_by", known_by},
      {"tenant", caller == nullptr ? "" : caller->tenant},
      {"peer", entry.peer},
      {"instance_id", entry.instance_id},
      {"code", absl::StatusCodeToString(entry.code)}};
  // Only for as long as it takes to see which file it is: lines are made
  // without the lock.
  std::shared_ptr<File> file;
  {
    MutexLock lock(mu_);
    file = file_;
  }
  if (left_out > 0) {
    file->log().Warning("refused", {{"lines_left_out", left_out}});
  }
  file->log().Write(refused ? LogLevel::kWarning : LogLevel::kInfo, event,
                    fields);
}

}  // namespace leasehold
