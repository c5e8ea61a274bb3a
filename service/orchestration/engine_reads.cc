// The engine's reads: the state of orchestrations, waits, and purges.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

// Approximate limit for a page: by default, clients receive at most 4 MiB in
// one message.
constexpr size_t kPageBytesMax = 3 << 20;

// Activities of one orchestration to check for what it waits for.
constexpr size_t kLooksMax = 1000;

}  // namespace

// ---- Lookups ----------------------------------------------------------------

void Engine::LookUpLocked(const InstanceKey& key, Lookup lookup) {
  const std::string name = Directory::NameOf(key);
  if (lookups_.Add(name, std::move(lookup))) BeginLookupLocked(key, name);
}

void Engine::BeginLookupLocked(const InstanceKey& key,
                               const std::string& name) {
  outdated_lookups_.erase(name);
  readers_.Post([this, key, epoch = epoch_, lookup = *lookups_.Take(name)] {
    lookup(store_.Find(key.tenant, key.id), epoch);
  });
}

bool Engine::LookupIsOutdatedLocked(const InstanceKey& key, uint64_t epoch) {
  const std::string name = Directory::NameOf(key);
  return epoch != epoch_ || !lookups_.Contains(name) ||
         outdated_lookups_.contains(name);
}

void Engine::EndLookupLocked(const InstanceKey& key, uint64_t epoch) {
  if (epoch != epoch_) return;
  const std::string name = Directory::NameOf(key);
  if (lookups_.End(name)) {
    BeginLookupLocked(key, name);
  } else {
    outdated_lookups_.erase(name);
  }
}

// ---- Get and Wait -----------------------------------------------------------

absl::StatusOr<std::optional<OrchestrationInfo>> Engine::ReadInfo(
    const InstanceKey& key, bool payloads) {
  for (;;) {
    const auto row = store_.Find(key.tenant, key.id);
    if (!row.ok()) return row.status();
    if (!row->has_value()) return std::nullopt;
    if (std::string damage = DamageOf(**row); !damage.empty()) {
      return DamagedInfoOf(**row, damage);
    }
    absl::StatusOr<OrchestrationInfo> info = InfoOf(**row);
    if (!info.ok())
      return DamagedInfoOf(**row, std::string(info.status().message()));
    if (!payloads) return *std::move(info);

    {
      const Look look(*this);
      // Includes one whose end is being committed: its start is the same.
      const OrchestrationPtr open = directory_.Find(key);
      const bool same = open != nullptr && open->number == (*row)->number;
      // It is durable already, but memory is not updated yet. (If it is being
      // reopened, the store may still have the end.)
      if (same && !info->finished.has_value() &&
          (!open->durable ||
           open->execution_id != info->summary.execution_id)) {
        continue;
      }
      std::optional<ExecutionStarted> start;
      if (same) start = PendingStartOf(*open);
      if (start.has_value()) info->input = std::move(start->input);
    }
    const auto ends = store_.ReadHistoryEnds((*row)->number);
    absl::Status status = ends.status();
    if (status.ok()) status = AddPayloads(*ends, *info);
    if (status.ok() && ends->first.empty() && !info->input.has_value()) {
      // Memory may have been discarded.
      status = AddPendingInput((*row)->number, *info);
    }
    if (!status.ok() && !absl::IsDataLoss(status)) return status;
    // Every turn changes the row: if it is the same, all reads are of one
    // moment. If it is not, the data may look damaged because it was purged
    // meanwhile.
    const auto again = store_.Find(key.tenant, key.id);
    if (!again.ok()) return again.status();
    if (*again != *row) continue;
    if (!status.ok()) {
      return DamagedInfoOf(**row, std::string(status.message()));
    }
    return *std::move(info);
  }
}

absl::Status Engine::AddPendingInput(RunNumber number,
                                     OrchestrationInfo& info) {
  // The start comes before all other messages.
  const auto first = store_.ReadMessages(number, {.count_max = 1});
  if (!first.ok()) return first.status();
  if (auto started = StartIn(*first)) info.input = std::move(started->input);
  return absl::OkStatus();
}

void Engine::PostReadLocked(const InstanceKey& key, bool payloads,
                            Done<std::optional<OrchestrationInfo>> done) {
  // Taken before the read: the data may be newer, but never older.
  const OrchestrationPtr present = directory_.Find(key);
  const uint64_t revision = present == nullptr ? 0 : present->revision;
  readers_.Post([this, key, payloads, revision, done = std::move(done)] {
    absl::StatusOr<std::optional<OrchestrationInfo>> info =
        ReadInfo(key, payloads);
    if (info.ok() && info->has_value()) {
      (*info)->revision = revision;
      if (!IsFinished((*info)->status)) (*info)->waiting_for = WaitingFor(key);
    }
    done(std::move(info));
  });
}

void Engine::PostReadLocked(const InstanceKey& key, bool payloads,
                            Done<SharedInfo> done) {
  PostReadLocked(
      key, payloads,
      Done<std::optional<OrchestrationInfo>>(
          [done = std::move(done)](
              absl::StatusOr<std::optional<OrchestrationInfo>> info) {
            if (!info.ok()) return done(info.status());
            if (!info->has_value()) return done(nullptr);
            done(std::make_shared<const OrchestrationInfo>(**std::move(info)));
          }));
}

std::string Engine::WaitingFor(const InstanceKey& key) {
  const Look look(*this);
  const OrchestrationPtr open = FindOpenLocked(key);
  if (open == nullptr) return "";
  const auto waits_for = [this](const Work& work) {
    mu_.AssertHeld();
    std::string unwanted = UnwantedLocked(work);
    return unwanted.empty() ? WithWhomLocked(work) : unwanted;
  };
  std::string what = waits_for(open->turn);
  size_t looked_at = 0;
  for (const auto& [id, activity] : open->activities) {
    if (!what.empty() || ++looked_at > kLooksMax) break;
    what = waits_for(*activity);
  }
  return what;
}

bool Engine::IsAheadLocked(const std::string& name, Until until,
                           uint64_t seen) {
  const OrchestrationPtr present = directory_.FindByName(name);
  if (present == nullptr || present->damage != nullptr) return false;
  switch (until) {
    case Until::kStarted:
      return present->status == OrchestrationStatus::kPending;
    case Until::kFinished:
      return true;
    case Until::kChanged:
      return present->revision == seen;
  }
  return false;
}

void Engine::Get(const InstanceKey& key, bool payloads,
                 Done<std::optional<OrchestrationInfo>> done) {
  Section section(*this);
  if (absl::Status status = admission_.readable(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  PostReadLocked(key, payloads, std::move(done));
}

void Engine::ReviewLocked(const std::string& name) {
  std::vector<Waiter> over = waits_.TakeIf(name, [&](const Waiter& waiter) {
    mu_.AssertHeld();
    return !IsAheadLocked(name, waiter.until, waiter.seen);
  });
  for (Waiter& waiter : over) {
    PostReadLocked(waiter.key, waiter.payloads, std::move(waiter.done));
  }
}

void Engine::ReviewWaitersLocked() {
  for (const std::string& key : waits_.Keys()) ReviewLocked(key);
}

void Engine::ReviewWaitersLocked(const InstanceKey& key) {
  ReviewLocked(Directory::NameOf(key));
}

Engine::WaitId Engine::Wait(WaitRequest request, Done<SharedInfo> done) {
  Section section(*this);
  const WaitId id = ++last_wait_;
  if (absl::Status status = admission_.accepting(); !status.ok()) {
    RefuseLocked(done, status);
    return id;
  }
  const std::string name = Directory::NameOf(request.key);
  if (!IsAheadLocked(name, request.until, request.seen)) {
    PostReadLocked(request.key, request.payloads, std::move(done));
    return id;
  }
  std::optional<Waiter> oldest =
      waits_.Add(name, {std::move(request), id, std::move(done)});
  if (oldest.has_value()) {
    RefuseLocked(
        oldest->done,
        absl::ResourceExhaustedError(absl::StrCat(
            "this connection has begun ", options_.waits_max,
            " other waits since; that is the most, and the oldest ends. Cancel "
            "waits that nobody looks at any more")));
  }
  return id;
}

bool Engine::CancelWait(const InstanceKey& key, WaitId id) {
  Section section(*this);
  return !waits_
              .TakeIf(Directory::NameOf(key),
                      [id](const Waiter& waiter) { return waiter.id == id; })
              .empty();
}

// ---- Restart ----------------------------------------------------------------

void Engine::Restart(const InstanceKey& key, std::optional<std::string> new_id,
                     Done<StartReceipt> done) {
  Section section(*this);
  if (absl::Status status = admission_.accepting(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  const OrchestrationPtr open = FindOpenLocked(key);
  if (open != nullptr && open->durable && !new_id.has_value()) {
    const std::string_view is = StatusName(open->status);
    return RefuseLocked(
        done,
        absl::FailedPreconditionError(absl::StrCat(
            "orchestration ", QuoteForMessage(key.id), " is ", std::string(is),
            "; under its own ID only one that has ended is restarted")));
  }
  readers_.Post([this, key, new_id, done = std::move(done)] {
    absl::StatusOr<std::optional<OrchestrationInfo>> info =
        ReadInfo(key, /*payloads=*/true);
    if (!info.ok()) return done(info.status());
    if (!info->has_value()) return done(NoSuchOrchestration(key));
    if ((*info)->status == OrchestrationStatus::kDamaged) {
      return done(IsDamaged(key.id, "how it was started is not known"));
    }
    Summary& summary = (*info)->summary;
    StartRequest request;
    request.key = {key.tenant, new_id.value_or(key.id)};
    request.name = std::move(summary.name);
    request.version = std::move(summary.version);
    request.input = std::move((*info)->input);
    request.tags = std::move(summary.tags);
    Start(std::move(request), done);
  });
}

// ---- Queries ----------------------------------------------------------------

void Engine::Query(OrchestrationQuery query, Done<OrchestrationPage> done) {
  Section section(*this);
  if (absl::Status status = admission_.readable(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  readers_.Post([this, query = std::move(query), done = std::move(done)] {
    absl::StatusOr<RowPage> rows = store_.Query(query.rows);
    if (!rows.ok()) return done(rows.status());
    OrchestrationPage page;
    page.next = rows->next;
    size_t bytes = 0;
    for (size_t i = 0; i < rows->rows.size(); ++i) {
      const RunRow& row = rows->rows[i];
      absl::StatusOr<std::optional<OrchestrationInfo>> info = InfoOf(row);
      std::string damage = DamageOf(row);
      if (damage.empty() && !info.ok())
        damage = std::string(info.status().message());
      if (!damage.empty()) {
        // The decoded ID may be another's: use the row.
        info = DamagedInfoOf(row, damage);
      } else if (query.payloads) {
        info = ReadInfo({row.tenant, row.id}, true);
      }
      if (!info.ok()) return done(info.status());
      // It was purged meanwhile.
      if (!info->has_value()) continue;
      FitIntoPage(**info, kPageBytesMax);
      bytes += SizeOf(**info);
      if (bytes > kPageBytesMax && !page.orchestrations.empty()) {
        page.next = rows->rows[i - 1].number;
        break;
      }
      page.orchestrations.push_back(**std::move(info));
    }
    done(std::move(page));
  });
}

void Engine::ListFinished(FinishedQuery query, Done<FinishedPage> done) {
  Section section(*this);
  if (absl::Status status = admission_.readable(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  readers_.Post([this, query = std::move(query), done = std::move(done)] {
    done(store_.ListFinished(query));
  });
}

absl::StatusOr<Engine::Execution> Engine::FindExecution(
    const InstanceKey& key, const Payload& execution_id, bool replaced) {
  const auto row = store_.Find(key.tenant, key.id);
  if (!row.ok()) return row.status();
  if (!row->has_value()) return NoSuchOrchestration(key);
  const absl::StatusOr<OrchestrationInfo> present = InfoOf(**row);
  // A damaged one's history is shown as far as it exists.
  if (execution_id.value_or("").empty()) {
    return Execution{(*row)->number,
                     present.ok() ? present->summary.execution_id : ""};
  }
  if (!present.ok())
    return IsDamaged(key.id, std::string(present.status().message()));
  if (*execution_id == present->summary.execution_id) {
    return Execution{(*row)->number, *execution_id};
  }
  if (replaced) {
    const auto rows = store_.ReadReplaced(key.tenant, key.id);
    if (!rows.ok()) return rows.status();
    for (const RunRow& one : *rows) {
      const absl::StatusOr<OrchestrationInfo> info = InfoOf(one);
      if (!info.ok()) continue;
      if (*execution_id == info->summary.execution_id) {
        return Execution{one.number, *execution_id};
      }
    }
  }
  return absl::NotFoundError(
      absl::StrCat("orchestration ", QuoteForMessage(key.id),
                   " has no execution ", QuoteForMessage(*execution_id),
                   "; its present one is ", present->summary.execution_id));
}

absl::StatusOr<HistoryPage> Engine::ReadHistoryPage(const InstanceKey& key,
                                                    HistoryQuery query) {
  const bool begun = query.number != 0;
  for (;;) {
    auto run = FindExecution(key, query.execution_id, query.replaced || begun);
    if (!run.ok() && !(begun && absl::IsNotFound(run.status()))) {
      return run.status();
    }
    if (!begun) query.number = run->number;
    if (run.ok() && run->number == query.number) {
      absl::StatusOr<HistoryPart> part =
          store_.ReadHistoryPart(query.number, query.chunk, query.bytes_max);
      // Continue-as-new and rewind replace a run's history: was this part read
      // from the history that was found?
      const auto again = FindExecution(key, run->id, /*replaced=*/true);
      if (again.ok() && again->number == query.number) {
        if (!part.ok()) return part.status();
        HistoryPage page{std::move(part->chunks), std::nullopt};
        if (part->next.has_value()) {
          query.execution_id = std::move(run->id);
          query.chunk = *part->next;
          page.next = std::move(query);
        }
        return page;
      }
      if (!again.ok() && !absl::IsNotFound(again.status())) {
        return again.status();
      }
    }
    if (begun) {
      return absl::AbortedError(absl::StrCat(
          "the history of orchestration ", QuoteForMessage(key.id),
          " that was being read is no longer there: it continued as new, was "
          "rewound, or was purged; ask again for the present one"));
    }
  }
}

void Engine::ReadHistory(const InstanceKey& key, HistoryQuery query,
                         Done<HistoryPage> done) {
  Section section(*this);
  if (absl::Status status = admission_.readable(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  readers_.Post([this, key, query = std::move(query), done = std::move(done)] {
    done(ReadHistoryPage(key, query));
  });
}

// ---- Purging ----------------------------------------------------------------

// The keys to purge; sub-orchestrations are added on the way.
struct Engine::PurgeJob {
  std::deque<InstanceKey> keys;
  bool recursive = false;
  Done<PurgeResult> done;
  PurgeResult result;
  // More keys to come, page by page; nullopt: none.
  std::optional<RowQuery> filter;
  Instant deadline = Instant::Infinite();
};

void Engine::Purge(std::vector<InstanceKey> keys, bool recursive,
                   Done<PurgeResult> done) {
  auto job = std::make_shared<PurgeJob>();
  job->keys.assign(std::make_move_iterator(keys.begin()),
                   std::make_move_iterator(keys.end()));
  job->recursive = recursive;
  job->done = std::move(done);
  PurgeNext(job);
}

void Engine::PurgeMatching(RowQuery filter, bool recursive,
                           absl::Duration timeout, Done<PurgeResult> done) {
  auto job = std::make_shared<PurgeJob>();
  filter.finished_only = true;
  job->filter = std::move(filter);
  job->recursive = recursive;
  job->deadline = clock_.Now() + timeout;
  job->done = std::move(done);
  PurgeNext(job);
}

void Engine::PurgeNext(const std::shared_ptr<PurgeJob>& job) {
  Section section(*this);
  if (absl::Status status = admission_.serving(); !status.ok()) {
    return RefuseLocked(job->done, status);
  }
  const bool late = clock_.Now() > job->deadline;
  if (late || (job->keys.empty() && !job->filter.has_value())) {
    job->result.complete = !late;
    effects_.calls.push_back([job] { job->done(job->result); });
    return;
  }
  if (job->keys.empty()) {
    readers_.Post([this, job] { PurgePage(job); });
    return;
  }
  const InstanceKey key = std::move(job->keys.front());
  job->keys.pop_front();
  LookUpLocked(key, [this, job, key](
                        const absl::StatusOr<std::optional<RunRow>>& row,
                        uint64_t epoch) { PurgeRow(job, key, row, epoch); });
}

void Engine::PurgePage(const std::shared_ptr<PurgeJob>& job) {
  absl::StatusOr<RowPage> page = store_.Query(*job->filter);
  if (!page.ok()) return job->done(page.status());
  for (RunRow& row : page->rows) {
    job->keys.push_back({std::move(row.tenant), std::move(row.id)});
  }
  if (page->next.has_value()) {
    job->filter->after = *page->next;
  } else {
    job->filter.reset();
  }
  PurgeNext(job);
}

RunNumber Engine::PurgeableLocked(const InstanceKey& key,
                                  const std::optional<RunRow>& row) {
  if (const OrchestrationPtr present = directory_.Find(key)) {
    return present->damage != nullptr ? present->number : 0;
  }
  if (!row.has_value()) return 0;
  return row->damaged || row->finished.has_value() ? row->number : 0;
}

void Engine::PurgeRow(const std::shared_ptr<PurgeJob>& job,
                      const InstanceKey& key,
                      const absl::StatusOr<std::optional<RunRow>>& row,
                      uint64_t epoch) {
  // Its sub-orchestrations are in its history, which is about to be erased.
  if (row.ok() && row->has_value() && (*row)->finished.has_value() &&
      job->recursive) {
    const auto history = store_.ReadHistory((*row)->number);
    if (history.ok()) {
      for (const std::string& chunk : *history) {
        ForEachFrame(chunk, [&](std::string_view bytes) {
          const std::optional<HistoryEvent> event = DecodeEvent(bytes);
          if (!event.has_value()) return;
          if (const auto* child = event->As<SubOrchestrationCreated>()) {
            job->keys.push_back({key.tenant, child->instance_id});
          }
        });
      }
    }
  }
  bool next = true;
  {
    Section section(*this);
    const OrchestrationPtr present = directory_.Find(key);
    const absl::Status status = row.ok() ? admission_.serving() : row.status();
    if (!status.ok()) {
      RefuseLocked(job->done, status);
      next = false;
    } else if (LookupIsOutdatedLocked(key, epoch)) {
      job->keys.push_front(key);
    } else if (present != nullptr && (!present->durable || present->ending)) {
      // Which one exists is known once the queued commits are durable.
      AfterCommitsLocked([this, job, key](const absl::Status& status) {
        if (!status.ok()) return job->done(status);
        job->keys.push_front(key);
        PurgeNext(job);
      });
      next = false;
    } else if (const RunNumber number = PurgeableLocked(key, *row);
               number != 0) {
      // The lookup continues until the row is gone.
      PendingCommit commit;
      commit.changes.push_back(EraseRun{number});
      if (present != nullptr) EndLocked(*present);
      commit.apply.push_back([this, key, epoch] {
        mu_.AssertHeld();
        EndLookupLocked(key, epoch);
      });
      commit.done = [this, job](const absl::Status& status) {
        if (!status.ok()) return job->done(status);
        ++job->result.erased;
        PurgeNext(job);
      };
      commits_.Submit(std::move(commit));
      return;
    }
    EndLookupLocked(key, epoch);
  }
  if (next) PurgeNext(job);
}

void Engine::Wipe(DoneStatus done) {
  Section section(*this);
  if (absl::Status status = admission_.serving(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  PendingCommit commit;
  commit.changes.push_back(EraseEverything{});
  commit.done = [done = std::move(done),
                 waiting = waits_.TakeAll()](const absl::Status& status) {
    for (const Waiter& waiter : waiting) {
      if (status.ok()) {
        waiter.done(nullptr);
      } else {
        waiter.done(status);
      }
    }
    done(status);
  };
  ForgetAllLocked();
  commits_.Submit(std::move(commit));
}

}  // namespace leasehold
