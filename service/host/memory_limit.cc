#include "service/host/memory_limit.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "service/host/server_options.h"
#include "service/host/setting.h"

namespace leasehold {
namespace {

constexpr uint64_t kMib = uint64_t{1} << 20;

// Caches of the store, lines of the log, and the program.
constexpr uint64_t kReserved = 64 * kMib;
// Less than that, and large requests of several callers stand in each other's
// way.
constexpr uint64_t kKeptMin = 16 * kMib;
constexpr uint64_t kLimitMax = uint64_t{1} << 50;

// A limit that is as good as none: cgroups of version 1 have one near 2^63.
constexpr uint64_t kNoLimit = uint64_t{1} << 60;

constexpr char kRule[] =
    "must be a size such as 2GiB, or a part of the memory such as 75%";

std::optional<std::string> ReadAll(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The number that a file begins with.
std::optional<uint64_t> ReadNumber(const std::string& path) {
  const std::optional<std::string> text = ReadAll(path);
  uint64_t number = 0;
  if (!text.has_value() ||
      !absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &number)) {
    return std::nullopt;  // `max`: no limit.
  }
  return number;
}

// The least limit of a group and of those that it is in. `group`: as `/a/b`.
std::optional<uint64_t> LeastLimit(const std::string& mount, std::string group,
                                   const std::string& file) {
  std::optional<uint64_t> least;
  for (;;) {
    while (!group.empty() && group.back() == '/') group.pop_back();
    const auto limit = ReadNumber(absl::StrCat(mount, group, "/", file));
    if (limit.has_value() && *limit < kNoLimit) {
      least = std::min(*limit, least.value_or(*limit));
    }
    const size_t slash = group.rfind('/');
    if (slash == std::string::npos) return least;
    group.resize(slash);
  }
}

std::optional<uint64_t> CgroupLimit(const std::string& root) {
  const auto groups = ReadAll(root + "/proc/self/cgroup");
  if (!groups.has_value()) return std::nullopt;
  std::optional<uint64_t> least;
  // Lines such as `0::/a/b` (version 2) and `7:cpu,memory:/a/b` (version 1).
  for (const absl::string_view line : absl::StrSplit(*groups, '\n')) {
    const std::vector<std::string> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() < 3) continue;
    std::optional<uint64_t> limit;
    if (parts[0] == "0" && parts[1].empty()) {
      limit = LeastLimit(root + "/sys/fs/cgroup", parts[2], "memory.max");
    } else {
      const std::vector<std::string> controllers =
          absl::StrSplit(parts[1], ',');
      if (std::find(controllers.begin(), controllers.end(), "memory") ==
          controllers.end()) {
        continue;
      }
      limit = LeastLimit(root + "/sys/fs/cgroup/memory", parts[2],
                         "memory.limit_in_bytes");
    }
    if (limit.has_value()) least = std::min(*limit, least.value_or(*limit));
  }
  return least;
}

std::optional<uint64_t> MachineMemory(const std::string& root) {
  const auto text = ReadAll(root + "/proc/meminfo");
  if (!text.has_value()) return std::nullopt;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    uint64_t kib = 0;
    if (absl::ConsumePrefix(&line, "MemTotal:") &&
        absl::ConsumeSuffix(&line, "kB") &&
        absl::SimpleAtoi(absl::StripAsciiWhitespace(line), &kib)) {
      return kib << 10;
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<MemoryLimit> ParseMemoryLimit(const std::string& text) {
  absl::string_view rest = text;
  if (absl::ConsumeSuffix(&rest, "%")) {
    double percent = 0;
    if (rest.empty() || rest.find_first_not_of("0123456789.") != rest.npos ||
        !absl::SimpleAtod(rest, &percent) || !(percent > 0) || percent > 100) {
      return InvalidSetting(kRule, text);
    }
    return MemoryLimit{.bytes = 0, .percent = percent};
  }
  int shift = 0;
  for (const auto& [unit, bits] :
       {std::pair("KiB", 10), std::pair("MiB", 20), std::pair("GiB", 30)}) {
    if (absl::ConsumeSuffix(&rest, unit)) {
      shift = bits;
      break;
    }
  }
  uint64_t number = 0;
  if (rest.empty() || rest.find_first_not_of("0123456789") != rest.npos ||
      !absl::SimpleAtoi(rest, &number) || number == 0 ||
      number > (kLimitMax >> shift)) {
    return InvalidSetting(kRule, text);
  }
  return MemoryLimit{.bytes = number << shift};
}

std::string MemoryLimitText(const MemoryLimit& limit) {
  return limit.bytes == 0 ? absl::StrCat(limit.percent, "%")
                          : absl::StrCat(limit.bytes);
}

std::optional<AvailableMemory> FindMemory(const std::string& root) {
  const std::optional<uint64_t> machine = MachineMemory(root);
  const std::optional<uint64_t> group = CgroupLimit(root);
  if (group.has_value() && *group < machine.value_or(kNoLimit)) {
    return AvailableMemory{.bytes = *group, .of_cgroup = true};
  }
  if (!machine.has_value()) return std::nullopt;
  return AvailableMemory{.bytes = *machine};
}

MemoryShares SharesOf(uint64_t limit, uint64_t kept) {
  return {.limit = limit,
          .kept = kept,
          .incomplete = 2 * kept,
          .bodies = kept,
          .reserved = kReserved};
}

absl::StatusOr<MemoryShares> ShareMemory(uint64_t limit, uint64_t kept_max) {
  const uint64_t least = SharesOf(limit, std::min(kKeptMin, kept_max)).total();
  if (limit < least) {
    return absl::InvalidArgumentError(
        absl::StrCat("is ", limit, " bytes, and at least ", least, " (",
                     least / kMib, " MiB) are needed"));
  }
  const uint64_t kept = (limit - kReserved) / 4;
  return SharesOf(limit, std::min(kept, kept_max));
}

absl::Status ApplyMemoryLimit(const std::string& root, ServerOptions& options) {
  const MemoryLimit& asked = options.memory_limit;
  uint64_t limit = asked.bytes;
  std::string name = "--memory-limit=" + MemoryLimitText(asked);
  if (limit == 0) {
    const std::optional<AvailableMemory> there = FindMemory(root);
    if (!there.has_value()) return absl::OkStatus();  // Nobody knows.
    limit = static_cast<uint64_t>(static_cast<double>(there->bytes) *
                                  asked.percent / 100);
    absl::StrAppend(&name, " of the ", there->bytes, " bytes of the ",
                    there->of_cgroup ? "control group" : "machine");
  }
  absl::StatusOr<MemoryShares> shares =
      SharesOf(limit, options.total_bytes_max);
  if (!options.given.contains("max-total-bytes")) {
    shares = ShareMemory(limit, options.total_bytes_max);
    if (!shares.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " ", shares.status().message()));
    }
  } else if (shares->total() > limit) {
    return absl::InvalidArgumentError(
        absl::StrCat("--max-total-bytes=", options.total_bytes_max, " needs ",
                     shares->total(), " bytes (four times that, and ",
                     kReserved, " for the program), and ", name, " is ", limit,
                     "; lower the one or raise the other"));
  }
  options.memory = *shares;
  options.total_bytes_max = static_cast<size_t>(shares->kept);
  options.connection_bytes_max =
      std::min(options.connection_bytes_max, options.total_bytes_max);
  return absl::OkStatus();
}

}  // namespace leasehold
