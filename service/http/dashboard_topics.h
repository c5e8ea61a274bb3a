// What viewers of the dashboard can follow: contexts, and an orchestration.
// (Figures: dashboard_stats.h.)
//
// Contexts are looked at, a few times a second, rather than heard of: hearing
// of each use would cost every call. What was looked at last is compared with
// what is there, and only differences are sent; a lease that runs down is none.
// Looking takes a twentieth of a thread at most: with very many contexts it is
// done less often.
//
// Thread-safety: as LiveTopic.   Lifetime: what is passed outlives the topics.
#ifndef LEASEHOLD_SERVICE_HTTP_DASHBOARD_TOPICS_H_
#define LEASEHOLD_SERVICE_HTTP_DASHBOARD_TOPICS_H_

#include <cstddef>
#include <memory>
#include <string>

#include "lease/clock.h"
#include "service/http/live_topic.h"
#include "service/instance/instance_key.h"
#include "service/instance/instance_registry.h"
#include "service/instance/watch_hub.h"
#include "service/orchestration/orchestrations.h"
#include "service/orchestration/strips.h"

namespace leasehold {

// A snapshot has this many contexts at most, those whose leases end first.
inline constexpr size_t kFollowedContextsMax = 5000;

// `contexts`: those of `tenant` whose IDs begin with `prefix`. `hub` says why
// contexts have closed.
std::unique_ptr<LiveTopic> ContextsTopic(const Clock& clock,
                                         InstanceRegistry& registry,
                                         WatchHub& hub, std::string tenant,
                                         std::string prefix);

// `orchestration`: its state, without payloads, whenever it has changed.
std::unique_ptr<LiveTopic> OrchestrationTopic(Orchestrations& orchestrations,
                                              InstanceKey key);

// `strip`: the version of the strip of an ID, whenever it has changed.
std::unique_ptr<LiveTopic> StripTopic(const Strips& strips, InstanceKey key);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DASHBOARD_TOPICS_H_
