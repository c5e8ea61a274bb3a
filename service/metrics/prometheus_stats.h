// PrometheusStats: the numbers of a StatsSource as prometheus-cpp has them, and
// in the text form that Prometheus reads.
//
// They are collected when somebody asks, so nothing is copied meanwhile.
//
// Thread-safety: safe.   Lifetime: the source outlives it.
#ifndef LEASEHOLD_SERVICE_METRICS_PROMETHEUS_STATS_H_
#define LEASEHOLD_SERVICE_METRICS_PROMETHEUS_STATS_H_

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

#include "service/base/stats.h"

namespace leasehold {

class PrometheusStats final : public prometheus::Collectable {
 public:
  // What the text is, for a response's Content-Type.
  static constexpr char kContentType[] =
      "text/plain; version=0.0.4; charset=utf-8";

  PrometheusStats(StatsSource& source, StatsScope scope)
      : source_(source), scope_(std::move(scope)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;
  std::string Text() const;

 private:
  StatsSource& source_;
  const StatsScope scope_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_METRICS_PROMETHEUS_STATS_H_
