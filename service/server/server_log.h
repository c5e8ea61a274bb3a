// ServerLog: structured log lines on standard error, text or JSON.
//
//   2026-11-21T10:11:31.123Z INFO context_created tenant=default
//       instance_id="room-1" generation=1795428691123456   (one line)
//   {"time":"...","severity":"INFO","event":"context_created",...}
//
// It is an InstanceObserver: a line for each context that comes or goes.
//
// Thread-safety: safe.   Lifetime: clock and writer outlive it.
#ifndef LEASEHOLD_SERVICE_SERVER_SERVER_LOG_H_
#define LEASEHOLD_SERVICE_SERVER_SERVER_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "lease/clock.h"
#include "service/instance/instance_observer.h"
#include "service/server/line_writer.h"

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

  void OnEvent(const InstanceEvent& event) override;

 private:
  void Write(std::string_view severity, std::string_view event,
             std::initializer_list<Field> fields);

  const Clock& clock_;
  LineWriter& writer_;
  const LogFormat format_;
  const bool lifecycle_;
};

// `text` as a JSON string, quotes included. What is not UTF-8 becomes U+FFFD.
std::string JsonQuote(std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_SERVER_LOG_H_
