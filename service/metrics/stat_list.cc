#include "service/metrics/stat_list.h"

namespace leasehold {
namespace {

constexpr double kNanosecondsPerSecond = 1e9;

}  // namespace

StatList::Family& StatList::Family::Add(const HistogramReading& reading,
                                        Labels labels) {
  family_.samples.push_back(
      {.labels = std::move(labels),
       .value = static_cast<double>(reading.sum) / per_unit_,
       .counts = reading.counts});
  family_.samples.back().counts.resize(family_.bounds.size() + 1);
  return *this;
}

StatList::Family StatList::Times(const char* name, const char* help) {
  StatFamily& family = families_.emplace_back(
      StatFamily{.name = name, .help = help, .kind = StatKind::kHistogram});
  for (const int64_t bound : kTimeBounds) {
    family.bounds.push_back(static_cast<double>(bound) / kNanosecondsPerSecond);
  }
  return Family(family, kNanosecondsPerSecond);
}

StatList::Family StatList::Sizes(const char* name, const char* help) {
  StatFamily& family = families_.emplace_back(
      StatFamily{.name = name, .help = help, .kind = StatKind::kHistogram});
  for (const int64_t bound : kSizeBounds) {
    family.bounds.push_back(static_cast<double>(bound));
  }
  return Family(family);
}

}  // namespace leasehold
