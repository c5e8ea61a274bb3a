#include "service/host/work_log.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

// Each connection of a worker has another port: leave it out.
std::string PeerAddress(const std::string& peer) {
  if (!peer.starts_with("ipv4:") && !peer.starts_with("ipv6:")) return peer;
  return peer.substr(0, peer.rfind(':'));
}

LogLevel LevelOf(const WorkEvent& event) {
  switch (event.kind) {
    case WorkEventKind::kOrchestrationStarted:
    case WorkEventKind::kOrchestrationEnded:
      return LogLevel::kDebug;
    case WorkEventKind::kWorkerConnected:
    case WorkEventKind::kWorkerAnswers:
    case WorkEventKind::kGivenBack:
    case WorkEventKind::kNotMine:
    case WorkEventKind::kEndedByServer:
      return LogLevel::kInfo;
    case WorkEventKind::kWorkerGone:
      return event.count == 0 ? LogLevel::kInfo : LogLevel::kWarning;
    case WorkEventKind::kSetAside:
      return LogLevel::kError;
    case WorkEventKind::kWorkerSilent:
    case WorkEventKind::kLost:
    case WorkEventKind::kUnwanted:
    case WorkEventKind::kTimedOut:
    case WorkEventKind::kFailedByLimit:
    case WorkEventKind::kAnswerRefused:
    case WorkEventKind::kLockExpired:
    case WorkEventKind::kOrchestrationFailed:
      return LogLevel::kWarning;
  }
  return LogLevel::kWarning;
}

// Whose share of the lines an event takes.
std::string CauserOf(const WorkEvent& event, const std::string& peer) {
  // No worker's: whoever starts what fails has the tenant.
  if (event.kind == WorkEventKind::kOrchestrationFailed) {
    return absl::StrCat("tenant ", event.tenant);
  }
  return PeerAddress(peer);
}

// In words: "work lost".
std::string InWords(std::string_view name) {
  std::string words(name);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

// What a line of the console says after the ID.
std::string MoreOf(const WorkEvent& event, const std::string& peer) {
  std::vector<std::string> parts;
  if (!event.name.empty()) parts.push_back(event.name);
  if (event.task_id.has_value()) {
    parts.push_back(absl::StrCat("action ", *event.task_id));
  }
  if (event.worker != 0) {
    parts.push_back(absl::StrCat("worker ", event.worker));
  }
  if (!peer.empty()) parts.push_back(peer);
  if (event.count != 0) parts.push_back(absl::StrCat("count ", event.count));
  if (!event.status.empty()) parts.emplace_back(event.status);
  if (!event.reason.empty()) parts.push_back(event.reason);
  std::string more;
  for (const std::string& part : parts) {
    absl::StrAppend(&more, more.empty() ? "" : ", ", part);
  }
  return more;
}

std::vector<ServerLog::Field> FieldsOf(const WorkEvent& event,
                                       const std::string& peer) {
  std::vector<ServerLog::Field> fields;
  const auto text = [&fields](std::string_view name, const std::string& value) {
    if (!value.empty()) fields.push_back({name, value});
  };
  text("tenant", event.tenant);
  text("instance_id", event.instance_id);
  text("name", event.name);
  if (event.task_id.has_value()) {
    text("task_id", absl::StrCat(*event.task_id));
  }
  if (event.worker != 0) fields.push_back({"worker", event.worker});
  text("peer", peer);
  if (event.count != 0) fields.push_back({"count", event.count});
  text("status", std::string(event.status));
  text("reason", event.reason);
  return fields;
}

}  // namespace

void WorkLog::Write(const WorkEvent& event) {
  const std::string_view name = WorkEventName(event.kind);
  const LogLevel level = LevelOf(event);
  if (level == LogLevel::kDebug) {
    // Whoever asks for these lines asks for all of them.
    if (log_.Logs(level)) log_.Write(level, name, FieldsOf(event, ""));
    return;
  }
  if (console_ == nullptr && !log_.Logs(level)) return;
  uint64_t left_out = 0;
  const std::string peer = callers_.Find(event.peer);
  const bool admitted = Admit(CauserOf(event, peer), left_out);
  TellLeftOut(left_out);
  if (!admitted) return;
  if (console_ != nullptr) {
    console_->OnWork(InWords(name), event.instance_id, MoreOf(event, peer));
    if (level == LogLevel::kInfo) return;
  }
  log_.Write(level, name, FieldsOf(event, peer));
}

void WorkLog::Flush() {
  uint64_t left_out = 0;
  {
    MutexLock lock(mu_);
    left_out = std::exchange(left_out_, 0);
  }
  TellLeftOut(left_out);
}

bool WorkLog::Admit(const std::string& causer, uint64_t& left_out) {
  const Instant now = clock_.Now();
  MutexLock lock(mu_);
  if (now >= span_ends_) {
    span_ends_ = now + kSpan;
    left_out = std::exchange(left_out_, 0);
    lines_ = 0;
    of_one_.clear();
  }
  if (lines_ >= kLinesMax || of_one_[causer] >= kLinesOfOneMax) {
    ++left_out_;
    return false;
  }
  ++lines_;
  ++of_one_[causer];
  return true;
}

void WorkLog::TellLeftOut(uint64_t left_out) {
  if (left_out == 0) return;
  log_.Warning("work_lines_left_out",
               {{"count", left_out},
                {"reason", "there were too many lines about work at once"}});
}

}  // namespace leasehold
