#include "client/worker/log.h"

#include <cstdio>

namespace leasehold::worker {

void LogToStandardError(const LogLine& line) {
  const std::string who =
      line.instance_id.empty() ? "worker" : "\"" + line.instance_id + "\"";
  const std::string text = who + ": " + line.message + "\n";
  std::fputs(text.c_str(), stderr);
}

}  // namespace leasehold::worker
