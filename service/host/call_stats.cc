#include "service/host/call_stats.h"

#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/rpc/call_cells.h"

namespace leasehold {
namespace {

StatList::Labels LabelsOf(const MethodCalls& calls) {
  return {{"service", std::string(calls.method.service)},
          {"method", std::string(calls.method.name)}};
}

void AddMethods(const std::vector<MethodCalls>& methods, StatList& list) {
  StatList::Family ended = list.Counter(
      "leasehold_calls_total",
      "Calls over gRPC that have ended, by method and status code.");
  for (const MethodCalls& calls : methods) {
    for (size_t code = 0; code < kStatusCodes; ++code) {
      // Every method has one series at least, so that its rate is 0 and not
      // missing.
      if (calls.ended[code] == 0 && code != 0) continue;
      StatList::Labels labels = LabelsOf(calls);
      labels.emplace_back("code", absl::StatusCodeToString(
                                      static_cast<absl::StatusCode>(code)));
      ended.Add(calls.ended[code], std::move(labels));
    }
  }
  StatList::Family open =
      list.Gauge("leasehold_calls_open",
                 "Calls over gRPC that are being served, by method.");
  for (const MethodCalls& calls : methods) {
    const uint64_t done =
        std::accumulate(calls.ended.begin(), calls.ended.end(), uint64_t{0});
    if (calls.arrived == 0) continue;
    // One may end between the two looks.
    open.Add(calls.arrived > done ? calls.arrived - done : 0, LabelsOf(calls));
  }
  StatList::Family times = list.Times(
      "leasehold_call_seconds",
      "Time from when the server takes up a call over gRPC until its answer. "
      "Streams are not timed, and of calls to instances one in 16 is.");
  for (const MethodCalls& calls : methods) {
    if (std::accumulate(calls.times.counts.begin(), calls.times.counts.end(),
                        uint64_t{0}) > 0) {
      times.Add(calls.times, LabelsOf(calls));
    }
  }
}

}  // namespace

void AddCallStats(const Instances& instances, StatList& list) {
  AddMethods(instances.calls(), list);
  list.Gauge("leasehold_kept_bytes",
             "Bytes of requests that are served and of answers that are not "
             "read yet.")
      .Add(instances.budget().total());
  const Overload* const overload = instances.overload();
  if (overload == nullptr) return;
  StatList::Family refused =
      list.Counter("leasehold_overload_refused_total",
                   "Calls that were refused because the server had too much "
                   "to do, by class.");
  for (const CallClass each : {CallClass::kCall, CallClass::kEvent,
                               CallClass::kStart, CallClass::kRead}) {
    refused.Add(overload->refused_calls(each),
                {{"class", std::string(NameOf(each))}});
  }
  list.Gauge("leasehold_overload_pressure",
             "How much is refused: 0 nothing; up to 1 some of the reads, up to "
             "2 some of the starts too, up to 3 of the events, up to 4 of the "
             "calls.")
      .Add(overload->pressure());
  list.Gauge("leasehold_queue_delay_seconds",
             "How long what arrived last had to wait for the server.")
      .Add(absl::ToDoubleSeconds(overload->queue_delay()));
}

}  // namespace leasehold
