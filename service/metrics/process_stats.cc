#include "service/metrics/process_stats.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace leasehold {
namespace {

// Of /proc/self/stat, counted from the third field on, as proc(5) has them.
constexpr size_t kUserTicks = 11;
constexpr size_t kSystemTicks = 12;
constexpr size_t kThreads = 17;
constexpr size_t kStartTicks = 19;
constexpr size_t kVirtualBytes = 20;
constexpr size_t kResidentPages = 21;

std::string ContentOf(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// When the system was started, in seconds since 1970; 0: not known.
double BootSeconds() {
  const std::string content = ContentOf("/proc/stat");
  for (const absl::string_view line : absl::StrSplit(content, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    double seconds = 0;
    if (words.size() == 2 && words[0] == "btime" &&
        absl::SimpleAtod(words[1], &seconds)) {
      return seconds;
    }
  }
  return 0;
}

// How many descriptors are open; 0: not known.
size_t OpenDescriptors() {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  size_t count = 0;
  while (const dirent* entry = readdir(folder)) {
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(folder);
  return count - 1;  // Without the one that reads the folder.
}

}  // namespace

std::optional<ProcessNumbers> ParseProcessStat(std::string_view text,
                                               double ticks_per_second,
                                               double page_bytes) {
  const size_t end = text.rfind(')');
  if (end == std::string_view::npos || end + 2 >= text.size()) {
    return std::nullopt;
  }
  const absl::string_view rest(text.data() + end + 2, text.size() - end - 2);
  const std::vector<absl::string_view> fields = absl::StrSplit(rest, ' ');
  const auto number = [&fields](size_t index, double& value) {
    return index < fields.size() && absl::SimpleAtod(fields[index], &value);
  };
  double user = 0;
  double system = 0;
  double start = 0;
  double pages = 0;
  ProcessNumbers numbers;
  if (!number(kUserTicks, user) || !number(kSystemTicks, system) ||
      !number(kStartTicks, start) || !number(kResidentPages, pages) ||
      !number(kVirtualBytes, numbers.virtual_bytes) ||
      !number(kThreads, numbers.threads)) {
    return std::nullopt;
  }
  numbers.cpu_seconds = (user + system) / ticks_per_second;
  numbers.start_seconds = start / ticks_per_second;
  numbers.resident_bytes = pages * page_bytes;
  return numbers;
}

void AddProcessStats(StatList& list) {
  const auto numbers = ParseProcessStat(
      ContentOf("/proc/self/stat"), static_cast<double>(sysconf(_SC_CLK_TCK)),
      static_cast<double>(sysconf(_SC_PAGESIZE)));
  if (numbers.has_value()) {
    list.Counter("process_cpu_seconds_total",
                 "CPU time of the process, in user and system mode.")
        .Add(numbers->cpu_seconds);
    list.Gauge("process_resident_memory_bytes",
               "Memory of the process that is in RAM.")
        .Add(numbers->resident_bytes);
    list.Gauge("process_virtual_memory_bytes", "Address space of the process.")
        .Add(numbers->virtual_bytes);
    list.Gauge("process_threads", "Threads of the process.")
        .Add(numbers->threads);
    if (const double boot = BootSeconds(); boot > 0) {
      list.Gauge("process_start_time_seconds",
                 "When the process was started, in seconds since 1970.")
          .Add(boot + numbers->start_seconds);
    }
  }
  if (const size_t open = OpenDescriptors(); open > 0) {
    list.Gauge("process_open_fds", "Open file descriptors.").Add(open);
  }
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    list.Gauge("process_max_fds", "File descriptors that may be open.")
        .Add(limit.rlim_cur);
  }
}

}  // namespace leasehold
