// ServerLog: structured log lines on standard error, text or JSON.
//
//   2026-11-21T10:11:31.123Z DEBUG context_created tenant=default
//       instance_id="room-1" generation=1795428691123456   (one line)
//   {"time":"...","severity":"DEBUG","event":"context_created",...}
//
// It is an InstanceObserver: each context that comes or goes makes a line, at
// the level debug, as there may be thousands a second.
//
// Thread-safety: safe.   Lifetime: clock and writer outlive it.
#ifndef LEASEHOLD_SERVICE_HOST_SERVER_LOG_H_
#define LEASEHOLD_SERVICE_HOST_SERVER_LOG_H_

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/types/span.h"
#include "lease/clock.h"
#include "service/host/line_writer.h"
#include "service/instance/instance_observer.h"

namespace leasehold {

enum class LogFormat { kText, kJson };

// How grave a line is; each one more than those before it.
enum class LogLevel { kDebug, kInfo, kWarning, kError };

// As options name it: `warning`.
std::string_view LogLevelName(LogLevel level);
// nullopt: there is none of this name.
std::optional<LogLevel> LogLevelOf(std::string_view name);

class ServerLog final : public InstanceObserver {
 public:
  struct Field {
    std::string_view name;
    std::variant<std::string, uint64_t> value;
  };

  // Lines below `level` are not written.
  ServerLog(const Clock& clock, LineWriter& writer, LogFormat format,
            LogLevel level = LogLevel::kInfo)
      : clock_(clock), writer_(writer), format_(format), level_(level) {}

  // From now on.
  void SetLevel(LogLevel level) {
    level_.store(level, std::memory_order_relaxed);
  }
  // How many lines were dropped because their reader was too slow.
  uint64_t dropped() const { return writer_.dropped(); }
  // Whether a line of this level is written.
  bool Logs(LogLevel level) const {
    return level >= level_.load(std::memory_order_relaxed);
  }

  void Info(std::string_view event, std::initializer_list<Field> fields) {
    Write(LogLevel::kInfo, event, fields);
  }
  void Warning(std::string_view event, std::initializer_list<Field> fields) {
    Write(LogLevel::kWarning, event, fields);
  }
  void Error(std::string_view event, std::initializer_list<Field> fields) {
    Write(LogLevel::kError, event, fields);
  }

  void Write(LogLevel level, std::string_view event,
             absl::Span<const Field> fields);

  void OnEvent(const InstanceEvent& event) override;

 private:
  const Clock& clock_;
  LineWriter& writer_;
  const LogFormat format_;
  std::atomic<LogLevel> level_;
};

// `text` as a JSON string, with its quotes. Bytes that are not UTF-8 become
// U+FFFD; what does not show itself (lease/base/visible.h) is escaped.
std::string JsonQuote(std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVER_LOG_H_
