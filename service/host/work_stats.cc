#include "service/host/work_stats.h"

#include <array>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/time/time.h"
#include "service/orchestration/engine_observer.h"
#include "service/orchestration/history.h"

namespace leasehold {
namespace {

// By WorkKind.
constexpr std::array<const char*, kWorkKinds> kKindNames = {
    "orchestrator", "activity", "entity"};

std::string LabelOf(OrchestrationStatus status) {
  return absl::AsciiStrToLower(std::string(StatusName(status)));
}

void AddOrchestrations(const EngineCounts& engine, StatList& list) {
  using Status = OrchestrationStatus;
  StatList::Family open =
      list.Gauge("leasehold_orchestrations",
                 "Orchestrations that have not ended, by status.");
  for (const Status status :
       {Status::kPending, Status::kRunning, Status::kSuspended}) {
    const auto count = engine.by_status.find(status);
    open.Add(count == engine.by_status.end() ? 0 : count->second,
             {{"status", LabelOf(status)}});
  }
  list.Gauge("leasehold_orchestrations_parked",
             "Those of them that wait for something, and are packed in memory.")
      .Add(engine.parked);
  list.Counter("leasehold_orchestrations_started_total",
               "Orchestrations that were started, durably.")
      .Add(engine.started);
  StatList::Family ended =
      list.Counter("leasehold_orchestrations_ended_total",
                   "Orchestrations that have ended, durably, by status.");
  for (const Status status :
       {Status::kCompleted, Status::kFailed, Status::kTerminated}) {
    const auto count = engine.ended.find(status);
    ended.Add(count == engine.ended.end() ? 0 : count->second,
              {{"status", LabelOf(status)}});
  }
  list.Counter("leasehold_turns_total",
               "Turns of orchestrators that were committed.")
      .Add(engine.turns);
}

void AddWork(const OrchestrationHost::Stats& stats, StatList& list) {
  const SharedDispatcher::Stats& dispatch = stats.dispatch;
  StatList::Family items = list.Gauge(
      "leasehold_work_items",
      "Work for workers, by kind: it waits for one, or is out with one.");
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    items.Add(dispatch.work[kind].queued,
              {{"kind", kKindNames[kind]}, {"state", "queued"}});
    items.Add(dispatch.work[kind].out,
              {{"kind", kKindNames[kind]}, {"state", "out"}});
  }
  StatList::Family waits = list.Times(
      "leasehold_dispatch_wait_seconds",
      "How long work waited until it went out to a worker, by kind.");
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    waits.Add(dispatch.waits[kind], {{"kind", kKindNames[kind]}});
  }
  StatList::Family slots = list.Gauge(
      "leasehold_worker_slots",
      "How much work connected workers may have at once, by kind; and have.");
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    const Dispatcher::Totals& totals = dispatch.work[kind];
    slots.Add(totals.used, {{"kind", kKindNames[kind]}, {"state", "used"}});
    slots.Add(totals.slots - totals.used,
              {{"kind", kKindNames[kind]}, {"state", "free"}});
  }
  StatList::Family events = list.Counter(
      "leasehold_work_events_total",
      "What has happened to work and workers beside going out and coming back; "
      "the server's log has a line for each, by the same name.");
  for (size_t kind = 0; kind < kWorkEventKinds; ++kind) {
    const auto event = static_cast<WorkEventKind>(kind);
    // They are only told while the log has lines for them; see above.
    if (event >= WorkEventKind::kOrchestrationStarted) break;
    events.Add(stats.events[kind],
               {{"event", std::string(WorkEventName(event))}});
  }
}

void AddWorkers(const SharedDispatcher::Stats& dispatch, StatList& list) {
  size_t connected = 0;
  size_t built_in = 0;
  size_t silent = 0;
  for (const auto& [tenant, workers] : dispatch.workers) {
    connected += workers.workers;
    built_in += workers.last_resorts;
    silent += workers.silent;
  }
  list.Gauge("leasehold_workers",
             "Connected workers; those that are a part of the server apart.")
      .Add(connected, {{"place", "connected"}})
      .Add(built_in, {{"place", "built_in"}});
  list.Gauge("leasehold_workers_silent",
             "Those of them that had work for too long, and do not answer.")
      .Add(silent);
}

void AddStore(const OrchestrationHost::Stats& stats, StatList& list) {
  const CommitQueue::Counts& commits = stats.engine.commits;
  list.Counter("leasehold_commits_total", "Commits asked of the store.")
      .Add(commits.commits);
  list.Counter("leasehold_commits_failed_total",
               "Commits that the store did not make.")
      .Add(commits.failed);
  list.Times("leasehold_commit_seconds", "How long a commit took.")
      .Add(commits.times);
  list.Sizes("leasehold_commit_batch_size",
             "How many changes that belong together (a start, an event, a "
             "turn) a commit had.")
      .Add(commits.sizes);
  list.Gauge("leasehold_commit_delay_seconds",
             "How long the oldest change that is not durable yet has waited.")
      .Add(absl::ToDoubleSeconds(stats.commit_delay));
  list.Gauge("leasehold_store_writable",
             "1: the store can be written. 0: it cannot, and starts, events "
             "and answers are refused.")
      .Add(stats.store_status.ok() ? 1 : 0);
  StatList::Family bytes = list.Gauge(
      "leasehold_store_bytes",
      "How large the store's files are: the database, and its write-ahead "
      "log. A store in memory has none.");
  for (const auto& [file, size] : stats.store_bytes) {
    bytes.Add(size, {{"file", file}});
  }
}

}  // namespace

void AddWorkStats(const OrchestrationHost::Stats& stats, StatList& list) {
  AddOrchestrations(stats.engine, list);
  AddWork(stats, list);
  AddWorkers(stats.dispatch, list);
  AddStore(stats, list);
}

}  // namespace leasehold
