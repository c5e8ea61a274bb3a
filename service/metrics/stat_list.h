// StatList: families of numbers, as whoever collects them writes them down:
//
//   StatList list;
//   list.Gauge("leasehold_leases", "Leases that run.").Add(count);
//   StatList::Family pins = list.Gauge("leasehold_pins", "...");
//   for (...) pins.Add(count, {{"kind", kind}});
//
// Thread-safety: values; callers synchronise.   Lifetime: a Family is the
// list's, and good until the next one is added.
#ifndef LEASEHOLD_SERVICE_METRICS_STAT_LIST_H_
#define LEASEHOLD_SERVICE_METRICS_STAT_LIST_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "lease/base/cells.h"
#include "service/base/stats.h"

namespace leasehold {

class StatList {
 public:
  using Labels = std::vector<StatSample::Label>;

  class Family {
   public:
    // Readings have `per_unit` of what is one in the family's unit.
    explicit Family(StatFamily& family, double per_unit = 1)
        : family_(family), per_unit_(per_unit) {}
    template <typename Number>
    Family& Add(Number value, Labels labels = {}) {
      family_.samples.push_back(
          {.labels = std::move(labels), .value = static_cast<double>(value)});
      return *this;
    }
    // Of a histogram.
    Family& Add(const HistogramReading& reading, Labels labels = {});

   private:
    StatFamily& family_;
    const double per_unit_;
  };

  Family Counter(const char* name, const char* help) {
    return Make(name, help, StatKind::kCounter);
  }
  Family Gauge(const char* name, const char* help) {
    return Make(name, help, StatKind::kGauge);
  }
  // Of times, which are counted in nanoseconds (kTimeBounds) and shown in
  // seconds.
  Family Times(const char* name, const char* help);
  // Of sizes (kSizeBounds).
  Family Sizes(const char* name, const char* help);

  std::vector<StatFamily> Take() { return std::move(families_); }

 private:
  Family Make(const char* name, const char* help, StatKind kind) {
    return Family(families_.emplace_back(
        StatFamily{.name = name, .help = help, .kind = kind}));
  }

  std::vector<StatFamily> families_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_METRICS_STAT_LIST_H_
