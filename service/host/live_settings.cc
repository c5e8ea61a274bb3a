#include "service/host/live_settings.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/str_join.h"
#include "service/host/retention_setting.h"

namespace leasehold {
namespace {

bool IsLive(std::string_view setting) {
  return setting == "log-level" || setting == "retention";
}

}  // namespace

void LiveSettings::ReadAgain(
    const std::function<void(const ServerOptions&)>& apply) {
  if (first_.config.empty()) return;
  const auto read = ParseServerOptions(argc_, argv_);
  if (!read.ok()) {
    log_.Warning("config_kept",
                 {{"file", first_.config},
                  {"reason", std::string(read.status().message())}});
    return;
  }
  // The arguments are the same: they do not ask for help now.
  const auto& options = std::get<ServerOptions>(*read);
  const LogLevel before = std::exchange(log_level_, options.log_level);
  // Both who had more lines and who will have more see the change.
  log_.SetLevel(std::min(before, log_level_));
  log_.Info("config_read",
            {{"file", first_.config},
             {"log_level", std::string(LogLevelName(log_level_))},
             {"retention", RetentionText(options.retention)}});
  LogUnchangeable(options);
  log_.SetLevel(log_level_);
  apply(options);
}

void LiveSettings::LogUnchangeable(const ServerOptions& read) {
  std::set<std::string> changed;
  const auto compare = [&changed](const ServerOptions& one,
                                  const ServerOptions& other) {
    for (const auto& [name, texts] : one.given) {
      const auto there = other.given.find(name);
      if (there == other.given.end() || there->second != texts) {
        if (!IsLive(name)) changed.insert(name);
      }
    }
  };
  compare(first_, read);
  compare(read, first_);
  if (changed.empty()) return;
  log_.Warning(
      "config_needs_restart",
      {{"file", first_.config}, {"settings", absl::StrJoin(changed, ", ")}});
}

}  // namespace leasehold
