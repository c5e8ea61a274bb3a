#include "lease/base/variables.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>

namespace leasehold {
namespace {

constexpr std::string_view kPrefix = "LEASEHOLD_";

// Without the prefix. Tests compare it with the options of both programs.
constexpr std::string_view kKnown[] = {
    // Of `leasehold`.
    "ADDRESS", "ALLOW_PLAINTEXT_TOKEN", "CA", "CERT", "COLOR", "CONFIG",
    "CONTEXT", "KEY", "OUTPUT", "RAW", "TIMEOUT", "TLS", "TOKEN_FILE", "WIDE",
    // Of `leasehold-server`.
    "ACTIVITY_TIMEOUT", "ALLOW_HUB_WIPE", "AUDIT_LOG", "BUILTIN", "COMPRESSION",
    "CONSOLE", "DATA", "DETACH_TIMEOUT", "DRAIN_TIMEOUT", "ENTITY_LOCK_TIMEOUT",
    "EVICT_IDLE", "HEARTBEAT_INTERVAL", "HTTP_ASSETS", "HTTP_HOST",
    "HTTP_LISTEN", "HTTP_PROXY_PROTOCOL", "HTTP_PUBLIC_URL", "IDLE_TIMEOUT",
    "INSECURE", "INSTANCE_HEADER", "KEEPALIVE_TIME", "KEEPALIVE_TIMEOUT",
    "LISTEN", "LOG_FORMAT", "LOG_LEVEL", "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_PER_ADDRESS", "MAX_CONNECTION_BYTES", "MAX_CONTEXTS",
    "MAX_DELIVERIES", "MAX_HISTORY_EVENTS", "MAX_IDLE_TIMEOUT",
    "MAX_INBOX_BYTES", "MAX_PAYLOAD", "MAX_RESETS", "MAX_RESETS_PER_SECOND",
    "MAX_TOTAL_BYTES", "MEMORY_LIMIT", "MIN_IDLE_TIMEOUT", "OPEN_TIMEOUT",
    "OTLP_ENDPOINT", "OVERLOAD_DELAY", "POLICY", "PRINT_ADDRESS",
    "PROXY_PROTOCOL", "QUEUE_THREADS", "RETENTION", "STORE", "TLS_CERT",
    "TLS_CLIENT_AUTH", "TLS_CLIENT_CA", "TLS_KEY", "TURN_TIMEOUT_ON_WORKER",
    "UNIX_SOCKET_MODE", "UNKNOWN_WORK", "URL_KEYS", "URL_LIFETIME",
    "USER_THREADS"};

// How many letters have to be inserted, taken away or changed.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

std::string_view WithoutPrefix(std::string_view name) {
  return name.substr(std::min(name.size(), kPrefix.size()));
}

}  // namespace

bool IsKnownVariable(const std::string& name) {
  return name.starts_with(kPrefix) &&
         std::find(std::begin(kKnown), std::end(kKnown), WithoutPrefix(name)) !=
             std::end(kKnown);
}

std::vector<std::string> LeaseholdVariables() {
  std::vector<std::string> names;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    const std::string_view entry = *each;
    if (!entry.starts_with(kPrefix)) continue;
    names.emplace_back(entry.substr(0, entry.find('=')));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> UnknownVariables(
    const std::vector<std::string>& names) {
  std::vector<std::string> unknown;
  std::copy_if(names.begin(), names.end(), std::back_inserter(unknown),
               [](const std::string& name) { return !IsKnownVariable(name); });
  return unknown;
}

std::string NearestVariable(const std::string& name) {
  // Two letters that changed places are two changes.
  constexpr size_t kDistanceMax = 3;
  std::string nearest;
  size_t least = kDistanceMax + 1;
  const std::string_view given = WithoutPrefix(name);
  for (const std::string_view known : kKnown) {
    const size_t distance = Distance(given, known);
    // Not a wholly different short one.
    if (distance >= least || 2 * distance > known.size()) continue;
    least = distance;
    nearest = std::string(kPrefix) + std::string(known);
  }
  return nearest;
}

}  // namespace leasehold
