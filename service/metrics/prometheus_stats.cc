#include "service/metrics/prometheus_stats.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <sstream>

namespace leasehold {
namespace {

prometheus::MetricType TypeOf(StatKind kind) {
  switch (kind) {
    case StatKind::kCounter:
      return prometheus::MetricType::Counter;
    case StatKind::kGauge:
      return prometheus::MetricType::Gauge;
    case StatKind::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric::Histogram HistogramOf(const StatFamily& family,
                                                const StatSample& sample) {
  prometheus::ClientMetric::Histogram histogram;
  histogram.sample_sum = sample.value;
  for (size_t i = 0; i < sample.counts.size(); ++i) {
    histogram.sample_count += sample.counts[i];
    histogram.bucket.push_back(
        {.cumulative_count = histogram.sample_count,
         .upper_bound = i < family.bounds.size()
                            ? family.bounds[i]
                            : std::numeric_limits<double>::infinity()});
  }
  return histogram;
}

prometheus::ClientMetric MetricOf(const StatFamily& family,
                                  const StatSample& sample) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : sample.labels) {
    metric.label.push_back({name, value});
  }
  switch (family.kind) {
    case StatKind::kCounter:
      metric.counter.value = sample.value;
      break;
    case StatKind::kGauge:
      metric.gauge.value = sample.value;
      break;
    case StatKind::kHistogram:
      metric.histogram = HistogramOf(family, sample);
      break;
  }
  return metric;
}

}  // namespace

std::vector<prometheus::MetricFamily> PrometheusStats::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  for (const StatFamily& family : source_.Collect(scope_)) {
    // A family without samples has nothing to say, and its HELP alone is what
    // some readers stumble over.
    if (family.samples.empty()) continue;
    prometheus::MetricFamily& made = families.emplace_back();
    made.name = family.name;
    made.help = family.help;
    made.type = TypeOf(family.kind);
    for (const StatSample& sample : family.samples) {
      made.metric.push_back(MetricOf(family, sample));
    }
  }
  return families;
}

std::string PrometheusStats::Text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, Collect());
  return std::move(out).str();
}

}  // namespace leasehold
