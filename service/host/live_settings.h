// LiveSettings: the settings that may change while the server serves. They are
// read again when somebody says so (SIGHUP), with the rest of the config file.
//
// A file that is not right changes nothing, and the log says why. Settings that
// cannot change keep their values, and the log names those that the file now
// gives another one. As at the start, the command line and the environment win
// over the file.
//
// Thread-safety: one thread.   Lifetime: arguments and log outlive it.
#ifndef LEASEHOLD_SERVICE_HOST_LIVE_SETTINGS_H_
#define LEASEHOLD_SERVICE_HOST_LIVE_SETTINGS_H_

#include <functional>

#include "service/host/server_log.h"
#include "service/host/server_options.h"

namespace leasehold {

class LiveSettings {
 public:
  // `options` is what was read from the arguments at the start, and outlives
  // it.
  LiveSettings(int argc, const char* const* argv, const ServerOptions& options,
               ServerLog& log)
      : argc_(argc),
        argv_(argv),
        first_(options),
        log_(log),
        log_level_(options.log_level) {}
  LiveSettings(const LiveSettings&) = delete;
  LiveSettings& operator=(const LiveSettings&) = delete;

  // `apply` gets what was read, for the settings that are not the log's.
  // Without a config file nothing happens.
  void ReadAgain(const std::function<void(const ServerOptions&)>& apply);

 private:
  // Logs which settings wait for a restart, if there are any.
  void LogUnchangeable(const ServerOptions& read);

  const int argc_;
  const char* const* const argv_;
  const ServerOptions& first_;
  ServerLog& log_;
  LogLevel log_level_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_LIVE_SETTINGS_H_
