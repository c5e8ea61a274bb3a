#include "service/host/orchestration_host.h"

#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "service/storage/memory_store.h"
#include "service/storage/sqlite_store.h"

namespace leasehold {
namespace {

// How many reads may run at the same time: queries, thaws, histories.
constexpr int kReaders = 2;

// In the data directory.
constexpr char kDatabaseName[] = "leasehold.db";

std::unique_ptr<Store> MakeStore(const ServerOptions& options, Clock& clock,
                                 ServerLog& log) {
  if (options.memory_store) return std::make_unique<MemoryStore>();
  return std::make_unique<SqliteStore>(
      SqliteStoreOptions{
          .directory = options.data,
          .readers = kReaders,
          .note =
              [&log](std::string_view event, const std::string& message) {
                log.Info(event, {{"message", message}});
              }},
      clock);
}

// Null: there is no policy.
std::function<uint64_t(const std::string&)> LimitOf(
    const AccessControl* access,
    uint64_t (AccessControl::*limit)(const std::string& tenant) const) {
  if (access == nullptr) return nullptr;
  return [access, limit](const std::string& tenant) {
    return (access->*limit)(tenant);
  };
}

}  // namespace

OrchestrationHost::OrchestrationHost(const ServerOptions& options, Clock& clock,
                                     ServerLog& log, ServerHost& host,
                                     Console* console,
                                     const AccessControl* access,
                                     StatsSource* stats)
    : log_(log),
      data_(options.memory_store ? "" : options.data),
      work_log_(clock, log, console, host.callers()),
      store_(MakeStore(options, clock, log)),
      readers_(kReaders),
      work_(clock, *this,
            {.turn_timeout = options.turn_timeout,
             .activity_timeout = options.activity_timeout}),
      engine_(clock, *store_, host.registry(), writer_, readers_,
              work_.dispatcher(), *this,
              {.idle_timeout = options.IdleTimeoutOf(kOrchestrationService),
               .limits = {.payload_bytes_max = options.payload_bytes_max,
                          .history_events_max =
                              static_cast<int64_t>(options.history_events_max)},
               .deliveries_max = options.deliveries_max,
               .inbox_bytes_max = options.inbox_bytes_max,
               .unknown_work_fails = options.unknown_work_fails,
               .entity_lock_timeout = options.entity_lock_timeout,
               .open_max_of_tenant =
                   LimitOf(access, &AccessControl::OpenOrchestrationsMax),
               .stored_bytes_max_of_tenant =
                   LimitOf(access, &AccessControl::StoredBytesMax),
               .retention = options.retention,
               .spans = host.tracer(),
               .strips = host.records_strips() ? &host.strips() : nullptr}),
      sidecar_(engine_, engine_.entities(), work_, clock,
               {.allow_hub_wipe = options.allow_hub_wipe,
                .ping_interval = options.heartbeat_interval}),
      orchestration_(engine_, host.door(), console),
      entities_(engine_.entities(), host.door()),
      admin_(
          work_, engine_.explanations(), host.door(),
          [&callers = host.callers()](const std::string& peer) {
            return callers.Find(peer);
          },
          stats != nullptr ? *stats : no_stats_, clock) {
  host.WatchCommits([this] { return engine_.commit_delay(); });
  host.Add(static_cast<ServerPart&>(*this));
  host.Add(sidecar_);
  host.Add(orchestration_);
  host.Add(entities_);
  host.Add(admin_);
}

OrchestrationHost::~OrchestrationHost() { engine_.Stop(); }

absl::Status OrchestrationHost::Start() {
  if (absl::Status status = engine_.Open(); !status.ok()) return status;
  engine_.StartTimers();
  wall_jumps_ =
      std::make_unique<WallJumps>([this] { engine_.OnWallClockSet(); });
  return absl::OkStatus();
}

OrchestrationHost::Stats OrchestrationHost::stats() {
  Stats stats{.engine = engine_.counts(),
              .dispatch = work_.dispatcher().stats(),
              .commit_delay = engine_.commit_delay(),
              .store_status = store_status()};
  for (size_t kind = 0; kind < kWorkEventKinds; ++kind) {
    stats.events[kind] = events_[kind].value();
  }
  if (data_.empty()) return stats;
  for (const auto& [name, suffix] :
       {std::pair("database", ""), std::pair("log", "-wal")}) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(
        std::filesystem::path(data_) / absl::StrCat(kDatabaseName, suffix),
        error);
    // The log is not always there.
    stats.store_bytes[name] = error ? 0 : static_cast<uint64_t>(bytes);
  }
  return stats;
}

void OrchestrationHost::LogOpen() {
  told_ = true;
  log_.Info("store_open",
            {{"store", std::string(store_->name())},
             {"open_orchestrations", uint64_t{engine_.counts().open}}});
}

void OrchestrationHost::OnRetention(int64_t erased) {
  log_.Info("retention_erased", {{"count", static_cast<uint64_t>(erased)}});
}

void OrchestrationHost::OnStopped(const EngineCounts& counts) {
  work_log_.Flush();
  if (!told_) return;
  const uint64_t commits = counts.commits.commits;
  const int64_t us = absl::ToInt64Microseconds(counts.commits.time);
  log_.Info(
      "store_closed",
      {{"commits", commits},
       {"commit_us", commits == 0 ? 0 : static_cast<uint64_t>(us) / commits},
       {"changes", counts.commits.pending},
       {"turns", counts.turns}});
}

absl::Status OrchestrationHost::store_status() const {
  MutexLock lock(mu_);
  return store_status_;
}

void OrchestrationHost::OnStoreFailed(const absl::Status& status) {
  {
    MutexLock lock(mu_);
    store_status_ = absl::UnavailableError(
        absl::StrCat("the store cannot be written: ", status.message()));
  }
  log_.Error("store_failed", {{"message", std::string(status.message())}});
}

void OrchestrationHost::OnStoreRecovered(size_t open_orchestrations) {
  {
    MutexLock lock(mu_);
    store_status_ = absl::OkStatus();
  }
  log_.Info("store_recovered",
            {{"open_orchestrations", uint64_t{open_orchestrations}}});
}

}  // namespace leasehold
