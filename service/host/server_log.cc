#include "service/host/server_log.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "lease/base/utf8.h"
#include "lease/base/view.h"
#include "lease/base/visible.h"

namespace leasehold {
namespace {

// A bare word where that is unambiguous, otherwise quoted as in JSON.
std::string TextValue(std::string_view text) {
  for (const unsigned char c : text) {
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7F) {
      return JsonQuote(text);
    }
  }
  return text.empty() ? "\"\"" : std::string(text);
}

// As JSON has it: in UTF-16.
void AppendEscaped(uint32_t code, std::string& quoted) {
  if (code < 0x10000) {
    absl::StrAppendFormat(&quoted, "\\u%04x", code);
  } else {
    absl::StrAppendFormat(&quoted, "\\u%04x\\u%04x", 0xD7C0 + (code >> 10),
                          0xDC00 + (code & 0x3FF));
  }
}

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info",
                                                         "warning", "error"};
constexpr std::array<std::string_view, 4> kSeverities = {"DEBUG", "INFO",
                                                         "WARNING", "ERROR"};

// nullopt: such events are not logged.
std::optional<LogLevel> LevelOf(InstanceEventKind kind) {
  switch (kind) {
    case InstanceEventKind::kCreated:
    case InstanceEventKind::kClosed:
      return LogLevel::kDebug;
    case InstanceEventKind::kDetachFailed:
    case InstanceEventKind::kOpenFailed:
    case InstanceEventKind::kThrew:
      return LogLevel::kWarning;
    case InstanceEventKind::kIdle:
    case InstanceEventKind::kBusy:
    case InstanceEventKind::kPinsChanged:
    case InstanceEventKind::kHeldByProvider:
    case InstanceEventKind::kRenewed:
    case InstanceEventKind::kExpired:
    case InstanceEventKind::kClosing:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::string_view LogLevelName(LogLevel level) {
  return kLevelNames[static_cast<size_t>(level)];
}

std::optional<LogLevel> LogLevelOf(std::string_view name) {
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == name) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

std::string JsonQuote(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const std::string_view before = text;
    const std::optional<uint32_t> code = TakeCodePoint(text);
    if (!code.has_value()) {
      text.remove_prefix(1);
      quoted += "\\ufffd";
    } else if (*code == '"' || *code == '\\') {
      quoted += '\\';
      quoted += static_cast<char>(*code);
    } else if (*code == '\n') {
      quoted += "\\n";
    } else if (IsVisible(*code)) {
      quoted += before.substr(0, before.size() - text.size());
    } else {
      AppendEscaped(*code, quoted);
    }
  }
  return quoted + "\"";
}

void ServerLog::Write(LogLevel level, std::string_view event,
                      absl::Span<const Field> fields) {
  if (!Logs(level)) return;
  const std::string_view severity = kSeverities[static_cast<size_t>(level)];
  const std::string time = absl::FormatTime(
      "%Y-%m-%dT%H:%M:%E3SZ", clock_.WallNow(), absl::UTCTimeZone());
  std::string line;
  if (format_ == LogFormat::kJson) {
    line = absl::StrCat("{\"time\":\"", time, "\",\"severity\":\"",
                        View(severity), "\",\"event\":", JsonQuote(event));
  } else {
    line = absl::StrCat(time, " ", View(severity), " ", View(event));
  }
  for (const Field& field : fields) {
    const auto* text = std::get_if<std::string>(&field.value);
    const std::string value =
        text == nullptr ? absl::StrCat(std::get<uint64_t>(field.value))
        : format_ == LogFormat::kJson ? JsonQuote(*text)
                                      : TextValue(*text);
    if (format_ == LogFormat::kJson) {
      absl::StrAppend(&line, ",", JsonQuote(field.name), ":", value);
    } else {
      absl::StrAppend(&line, " ", View(field.name), "=", value);
    }
  }
  if (format_ == LogFormat::kJson) line += "}";
  writer_.Write(line);
}

void ServerLog::OnEvent(const InstanceEvent& event) {
  const std::optional<LogLevel> level = LevelOf(event.kind);
  if (!level.has_value() || !Logs(*level)) return;
  const Field tenant = {"tenant", std::string(event.tenant)};
  const Field id = {"instance_id", std::string(event.instance_id)};
  const Field generation = {"generation", event.generation};
  switch (event.kind) {
    case InstanceEventKind::kCreated:
      return Write(
          *level, "context_created",
          {tenant,
           id,
           generation,
           {"idle_timeout", absl::FormatDuration(event.idle_timeout)}});
    case InstanceEventKind::kClosed:
      return Write(*level, "context_removed",
                   {tenant,
                    id,
                    generation,
                    {"reason", std::string(DetachReasonName(event.reason))}});
    case InstanceEventKind::kDetachFailed:
      return Write(*level, "detach_failed",
                   {tenant,
                    id,
                    generation,
                    {"extension", std::string(event.extension)},
                    {"error", event.status.ToString()}});
    case InstanceEventKind::kOpenFailed:
      return Write(*level, "context_open_failed",
                   {tenant, id, {"error", event.status.ToString()}});
    case InstanceEventKind::kThrew:
      return Write(*level, "user_code_threw",
                   {tenant,
                    id,
                    generation,
                    {"code", std::string(event.code)},
                    {"error", std::string(event.status.message())}});
    default:
      return;  // LevelOf has none for it.
  }
}

}  // namespace leasehold
