// ServerLog: structured log lines on standard error, text or JSON.
//
//   2026-11-21T10:11:31.123Z INFO context_created tenant=default
//       instance_id="room-1" generation=1795428691123456   (one line)
//   {"time":"...","severity":"INFO","event":"context_created",...}
//
// It is an InstanceObserver: each context that comes or goes makes a line.
//
// Thread-safety: safe.   Lifetime: clock and writer outlive it.
#ifndef LEASEHOLD_SERVICE_HOST_SERVER_LOG_H_
#define LEASEHOLD_SERVICE_HOST_SERVER_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "absl/types/span.h"
#include "lease/clock.h"
#include "service/host/line_writer.h"
#include "service/instance/instance_observer.h"

namespace leasehold {

enum class LogFormat { kText, kJson };

class ServerLog final : public InstanceObserver {
 public:
  struct Field {
    std::string_view name;
    std::variant<std::string, uint64_t> value;
  };

  // `lifecycle`: whether contexts that come and go are logged.
  ServerLog(const Clock& clock, LineWriter& writer, LogFormat format,
            bool lifecycle)
      : clock_(clock),
        writer_(writer),
        format_(format),
        lifecycle_(lifecycle) {}

  void Info(std::string_view event, std::initializer_list<Field> fields) {
    Write("INFO", event, fields);
  }
  void Warning(std::string_view event, std::initializer_list<Field> fields) {
    Write("WARNING", event, fields);
  }
  void Error(std::string_view event, std::initializer_list<Field> fields) {
    Write("ERROR", event, fields);
  }

  // `severity`: one of the three.
  void Write(std::string_view severity, std::string_view event,
             absl::Span<const Field> fields);

  void OnEvent(const InstanceEvent& event) override;

 private:
  const Clock& clock_;
  LineWriter& writer_;
  const LogFormat format_;
  const bool lifecycle_;
};

// `text` as a JSON string, with its quotes. Bytes that are not UTF-8 become
// U+FFFD; what does not show itself (lease/base/visible.h) is escaped.
std::string JsonQuote(std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVER_LOG_H_
