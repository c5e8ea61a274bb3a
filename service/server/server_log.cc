#include "service/server/server_log.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace leasehold {
namespace {

absl::string_view View(std::string_view s) { return {s.data(), s.size()}; }

// How many bytes the code point at the front of `text` has; 0: it is not UTF-8.
size_t CodePointBytes(std::string_view text) {
  const auto byte = [text](size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const unsigned char lead = byte(0);
  const size_t bytes = lead < 0x80   ? 1
                       : lead < 0xC2 ? 0
                       : lead < 0xE0 ? 2
                       : lead < 0xF0 ? 3
                       : lead < 0xF5 ? 4
                                     : 0;
  if (text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong, a surrogate, or past U+10FFFF.
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ||
      (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) {
    return 0;
  }
  return bytes;
}

// A bare word where that is clear, else quoted as JSON does.
std::string TextValue(std::string_view text) {
  for (const unsigned char c : text) {
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7F) {
      return JsonQuote(text);
    }
  }
  return text.empty() ? "\"\"" : std::string(text);
}

}  // namespace

std::string JsonQuote(std::string_view text) {
  std::string quoted = "\"";
  for (size_t i = 0; i < text.size();) {
    const size_t bytes = CodePointBytes(text.substr(i));
    if (bytes != 1) {
      quoted += bytes == 0 ? "\\ufffd" : text.substr(i, bytes);
      i += std::max<size_t>(bytes, 1);
      continue;
    }
    const char c = text[i++];
    switch (c) {
      case '"':
        quoted += "\\\"";
        break;
      case '\\':
        quoted += "\\\\";
        break;
      case '\n':
        quoted += "\\n";
        break;
      default:
        if (c < 0x20 || c == 0x7F) {
          absl::StrAppendFormat(&quoted, "\\u%04x", c);
        } else {
          quoted += c;
        }
    }
  }
  return quoted + "\"";
}

void ServerLog::Write(std::string_view severity, std::string_view event,
                      std::initializer_list<Field> fields) {
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
  const Field tenant = {"tenant", std::string(event.tenant)};
  const Field id = {"instance_id", std::string(event.instance_id)};
  const Field generation = {"generation", event.generation};
  switch (event.kind) {
    case InstanceEventKind::kCreated:
      if (!lifecycle_) return;
      return Info("context_created",
                  {tenant,
                   id,
                   generation,
                   {"idle_timeout", absl::FormatDuration(event.idle_timeout)}});
    case InstanceEventKind::kClosed:
      if (!lifecycle_) return;
      return Info("context_removed",
                  {tenant,
                   id,
                   generation,
                   {"reason", std::string(DetachReasonName(event.reason))}});
    case InstanceEventKind::kDetachFailed:
      return Warning("detach_failed",
                     {tenant,
                      id,
                      generation,
                      {"extension", std::string(event.extension)},
                      {"error", event.status.ToString()}});
    case InstanceEventKind::kOpenFailed:
      return Warning("context_open_failed",
                     {tenant, id, {"error", event.status.ToString()}});
    case InstanceEventKind::kIdle:
    case InstanceEventKind::kBusy:
    case InstanceEventKind::kRenewed:
    case InstanceEventKind::kExpired:
    case InstanceEventKind::kClosing:
      return;
  }
}

}  // namespace leasehold
