// StatFamily and StatsSource: the numbers that a server counts, each with its
// name and what it means, for whoever shows them: /metrics over HTTP, and
// leasehold.v1.Admin over gRPC, which show the same.
//
// Thread-safety: values; a StatsSource is safe.   Lifetime: names and texts are
// constants; a StatsSource outlives whoever shows its numbers.
#ifndef LEASEHOLD_SERVICE_BASE_STATS_H_
#define LEASEHOLD_SERVICE_BASE_STATS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace leasehold {

enum class StatKind : uint8_t {
  kCounter,    // Grows while the server runs.
  kGauge,      // What there is now.
  kHistogram,  // How many values of which size there were.
};

// One number, or one histogram.
struct StatSample {
  using Label = std::pair<std::string, std::string>;

  std::vector<Label> labels = {};
  double value = 0;  // Of a histogram: the sum of all that was counted.
  // Of a histogram: how many were in each bucket, as the family has bounds, and
  // at last how many were above all of these.
  std::vector<uint64_t> counts = {};
};

struct StatFamily {
  // `leasehold_leases`; with its unit and, if it is a counter, `_total` at the
  // end.
  const char* name;
  const char* help;
  StatKind kind = StatKind::kGauge;
  std::vector<double> bounds = {};  // Of a histogram's buckets, ascending.
  std::vector<StatSample> samples = {};
};

// Whose numbers. Those of one tenant say nothing of others.
struct StatsScope {
  bool whole_server = false;
  std::string tenant = {};  // If it is not the whole server.
};

class StatsSource {
 public:
  virtual ~StatsSource() = default;

  // The numbers as they are now, in an order that stays. Does not block for
  // long, and reads nothing from the store.
  virtual std::vector<StatFamily> Collect(const StatsScope& scope) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_STATS_H_
