// The engine's answers: what is known, waiting for it, and purging it.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

// How one began, from the first chunk of its history.
ExecutionStarted FirstStart(std::string_view chunk) {
  RuntimeState state;
  state.ApplyFrames(chunk);
  return state.started;
}

}  // namespace

// ---- Lookups ----------------------------------------------------------------

void Engine::LookUpLocked(const InstanceKey& key, Lookup lookup) {
  std::deque<Lookup>& queue = lookups_[DirectoryKey(key)].queue;
  queue.push_back(std::move(lookup));
  if (queue.size() > 1) return;
  readers_.Post([this, key, epoch = epoch_] { RunLookup(key, epoch); });
}

void Engine::RunLookup(const InstanceKey& key, uint64_t epoch) {
  Lookup lookup;
  {
    MutexLock lock(mu_);
    const auto it = lookups_.find(DirectoryKey(key));
    if (it == lookups_.end() || epoch != epoch_) return;
    it->second.outdated = false;
    lookup = std::exchange(it->second.queue.front(), nullptr);
  }
  lookup(store_.Find(key.tenant, key.id), epoch);
}

bool Engine::LookupIsOutdatedLocked(const InstanceKey& key, uint64_t epoch) {
  const auto it = lookups_.find(DirectoryKey(key));
  return epoch != epoch_ || it == lookups_.end() || it->second.outdated;
}

void Engine::EndLookupLocked(const InstanceKey& key, uint64_t epoch) {
  if (epoch != epoch_) return;
  const auto it = lookups_.find(DirectoryKey(key));
  if (it == lookups_.end()) return;
  it->second.queue.pop_front();
  if (it->second.queue.empty()) {
    lookups_.erase(it);
  } else {
    readers_.Post([this, key, epoch = epoch_] { RunLookup(key, epoch); });
  }
}

// ---- Get and Wait -----------------------------------------------------------

absl::StatusOr<std::optional<OrchestrationInfo>> Engine::ReadInfo(
    const InstanceKey& key, bool payloads) {
  for (;;) {
    const auto row = store_.Find(key.tenant, key.id);
    if (!row.ok()) return row.status();
    if (!row->has_value()) return std::nullopt;
    absl::StatusOr<OrchestrationInfo> info = InfoOf(**row);
    if (!info.ok()) return info.status();
    if (!payloads) return *std::move(info);

    {
      MutexLock lock(mu_);
      // Also one whose end is on its way: its beginning is the same.
      const auto it = directory_.find(DirectoryKey(key));
      const OrchestrationPtr open =
          it == directory_.end() ? nullptr : it->second;
      const bool same = open != nullptr && open->number == (*row)->number;
      // It is durable already, but memory does not know yet. (Of one that is
      // being opened again the store may still have the end.)
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
    if (!ends.ok()) return ends.status();
    if (absl::Status status = AddPayloads(*ends, *info); !status.ok()) {
      return status;
    }
    // Every turn changes the row: if it is the same, all that was read is of
    // one moment.
    const auto again = store_.Find(key.tenant, key.id);
    if (!again.ok()) return again.status();
    if (*again == *row) return *std::move(info);
  }
}

void Engine::PostReadLocked(const InstanceKey& key, bool payloads,
                            Done<std::optional<OrchestrationInfo>> done) {
  // Of before the read: what is read may be newer, never older.
  const auto it = directory_.find(DirectoryKey(key));
  const uint64_t revision = it == directory_.end() ? 0 : it->second->revision;
  readers_.Post([this, key, payloads, revision, done = std::move(done)] {
    absl::StatusOr<std::optional<OrchestrationInfo>> info =
        ReadInfo(key, payloads);
    if (info.ok() && info->has_value()) (*info)->revision = revision;
    done(std::move(info));
  });
}

bool Engine::IsAheadLocked(const std::string& directory_key, Until until,
                           uint64_t seen) {
  const auto it = directory_.find(directory_key);
  if (it == directory_.end()) return false;
  switch (until) {
    case Until::kStarted:
      return it->second->status == OrchestrationStatus::kPending;
    case Until::kFinished:
      return true;
    case Until::kChanged:
      return it->second->revision == seen;
  }
  return false;
}

void Engine::Get(const InstanceKey& key, bool payloads,
                 Done<std::optional<OrchestrationInfo>> done) {
  Section section(*this);
  if (absl::Status status = ServingLocked(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  PostReadLocked(key, payloads, std::move(done));
}

void Engine::ReviewLocked(const std::string& directory_key,
                          std::vector<Waiter>& waiters) {
  const auto over = std::stable_partition(
      waiters.begin(), waiters.end(), [&](const Waiter& waiter) {
        mu_.AssertHeld();
        return IsAheadLocked(directory_key, waiter.until, waiter.seen);
      });
  for (auto waiter = over; waiter != waiters.end(); ++waiter) {
    PostReadLocked(waiter->key, waiter->payloads, std::move(waiter->done));
  }
  waiters.erase(over, waiters.end());
}

void Engine::ReviewWaitersLocked() {
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    ReviewLocked(it->first, it->second);
    if (it->second.empty()) {
      waiters_.erase(it++);
    } else {
      ++it;
    }
  }
}

void Engine::ReviewWaitersLocked(const InstanceKey& key) {
  const auto it = waiters_.find(DirectoryKey(key));
  if (it == waiters_.end()) return;
  ReviewLocked(it->first, it->second);
  if (it->second.empty()) waiters_.erase(it);
}

Engine::WaitId Engine::Wait(const InstanceKey& key, Until until, bool payloads,
                            Done<std::optional<OrchestrationInfo>> done,
                            uint64_t seen) {
  Section section(*this);
  const WaitId id = ++last_wait_;
  if (absl::Status status = AcceptingLocked(); !status.ok()) {
    RefuseLocked(done, status);
    return id;
  }
  const std::string directory_key = DirectoryKey(key);
  if (!IsAheadLocked(directory_key, until, seen)) {
    PostReadLocked(key, payloads, std::move(done));
    return id;
  }
  std::vector<Waiter>& waiters = waiters_[directory_key];
  if (waiters.size() >= options_.waiters_max) {
    deferred_.calls.push_back(
        [done = std::move(done), key, limit = options_.waiters_max] {
          done(absl::ResourceExhaustedError(absl::StrCat(
              limit, " calls wait for orchestration ", QuoteForMessage(key.id),
              " already; that is the most")));
        });
    return id;
  }
  waiters.push_back({id, key, until, seen, payloads, std::move(done)});
  return id;
}

bool Engine::CancelWait(const InstanceKey& key, WaitId id) {
  Section section(*this);
  const auto it = waiters_.find(DirectoryKey(key));
  if (it == waiters_.end()) return false;
  const bool found = std::erase_if(it->second, [id](const Waiter& waiter) {
                       return waiter.id == id;
                     }) > 0;
  if (it->second.empty()) waiters_.erase(it);
  return found;
}

// ---- Restart ----------------------------------------------------------------

void Engine::Restart(const InstanceKey& key, std::optional<std::string> new_id,
                     Done<StartReceipt> done) {
  Section section(*this);
  if (absl::Status status = AcceptingLocked(); !status.ok()) {
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

// ---- Ending without a worker ------------------------------------------------

void Engine::TerminateNow(std::vector<InstanceKey> keys, Payload output,
                          Done<std::vector<InstanceKey>> done) {
  {
    Section section(*this);
    if (absl::Status status = ServingLocked(); !status.ok()) {
      return RefuseLocked(done, status);
    }
  }
  readers_.Post([this, keys = std::move(keys), output = std::move(output),
                 done = std::move(done)] {
    // Who is to be told stands at the beginning of the history.
    std::vector<std::optional<InstanceRow>> rows;
    std::vector<std::optional<ParentLink>> parents;
    for (const InstanceKey& key : keys) {
      auto row = store_.Find(key.tenant, key.id);
      if (!row.ok()) return done(row.status());
      HistoryEnds ends;
      if (row->has_value()) {
        auto read = store_.ReadHistoryEnds((*row)->number);
        if (!read.ok()) return done(read.status());
        ends = *std::move(read);
      }
      parents.push_back(FirstStart(ends.first).parent);
      rows.push_back(*std::move(row));
    }
    Section section(*this);
    std::vector<InstanceKey> not_open;
    PendingCommit commit;
    for (size_t i = 0; i < keys.size(); ++i) {
      const OrchestrationPtr open = FindOpenLocked(keys[i]);
      if (open == nullptr || !rows[i].has_value() ||
          open->number != rows[i]->number) {
        not_open.push_back(keys[i]);
        continue;
      }
      if (const auto start = PendingStartOf(*open)) parents[i] = start->parent;
      TerminateLocked(*open, output, commit);
      commit.apply.push_back([this, key = keys[i]] {
        mu_.AssertHeld();
        ReviewWaitersLocked(key);
      });
      if (!parents[i].has_value()) continue;
      const ExecutionOf& parent = parents[i]->orchestration;
      const OrchestrationPtr told =
          FindOpenLocked(NormalKey(keys[i].tenant, parent.instance_id));
      if (told == nullptr) continue;
      PostLocked(told, parent.execution_id.value_or(""),
                 {HistoryEvent::kFromOutside, NowLocked(),
                  EndOfChild(keys[i].id, parents[i]->task_scheduled_id,
                             OrchestrationStatus::kTerminated, {}, {})},
                 commit);
    }
    commit.done = [done, not_open](const absl::Status& status) {
      if (!status.ok()) return done(status);
      done(not_open);
    };
    commits_.Submit(std::move(commit));
  });
}

// ---- Many -------------------------------------------------------------------

void Engine::Query(OrchestrationQuery query, Done<OrchestrationPage> done) {
  Section section(*this);
  if (absl::Status status = ServingLocked(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  readers_.Post([this, query = std::move(query), done = std::move(done)] {
    absl::StatusOr<RowPage> rows = store_.Query(query.rows);
    if (!rows.ok()) return done(rows.status());
    OrchestrationPage page;
    page.next = rows->next;
    for (const InstanceRow& row : rows->rows) {
      absl::StatusOr<std::optional<OrchestrationInfo>> info = InfoOf(row);
      if (query.payloads) info = ReadInfo({row.tenant, row.id}, true);
      if (!info.ok()) return done(info.status());
      // One that has gone since is not there.
      if (info->has_value()) page.orchestrations.push_back(**std::move(info));
    }
    done(std::move(page));
  });
}

void Engine::ListFinished(FinishedQuery query, Done<FinishedPage> done) {
  Section section(*this);
  if (absl::Status status = ServingLocked(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  readers_.Post([this, query = std::move(query), done = std::move(done)] {
    done(store_.ListFinished(query));
  });
}

absl::StatusOr<InstanceNumber> Engine::FindExecution(
    const InstanceKey& key, const Payload& execution_id, bool replaced) {
  const auto row = store_.Find(key.tenant, key.id);
  if (!row.ok()) return row.status();
  if (!row->has_value()) return NoSuchOrchestration(key);
  const absl::StatusOr<OrchestrationInfo> present = InfoOf(**row);
  if (!present.ok()) return present.status();
  if (execution_id.value_or("").empty() ||
      *execution_id == present->summary.execution_id) {
    return (*row)->number;
  }
  if (replaced) {
    const auto rows = store_.ReadReplaced(key.tenant, key.id);
    if (!rows.ok()) return rows.status();
    for (const InstanceRow& one : *rows) {
      const absl::StatusOr<OrchestrationInfo> info = InfoOf(one);
      if (!info.ok()) return info.status();
      if (*execution_id == info->summary.execution_id) return one.number;
    }
  }
  return absl::NotFoundError(
      absl::StrCat("orchestration ", QuoteForMessage(key.id),
                   " has no execution ", QuoteForMessage(*execution_id),
                   "; its present one is ", present->summary.execution_id));
}

void Engine::ReadHistory(const InstanceKey& key, Payload execution_id,
                         bool replaced, Done<std::vector<std::string>> done) {
  Section section(*this);
  if (absl::Status status = ServingLocked(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  readers_.Post([this, key, execution_id = std::move(execution_id), replaced,
                 done = std::move(done)] {
    const auto number = FindExecution(key, execution_id, replaced);
    if (!number.ok()) return done(number.status());
    done(store_.ReadHistory(*number));
  });
}

// ---- Purging ----------------------------------------------------------------

// A list of keys that grows while it is worked through.
struct Engine::PurgeJob {
  std::deque<InstanceKey> keys;
  bool recursive = false;
  Done<PurgeResult> done;
  PurgeResult result;
  // More to come, page by page; nullopt: these keys are all.
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
  if (absl::Status status = ServingLocked(); !status.ok()) {
    return RefuseLocked(job->done, status);
  }
  const bool late = clock_.Now() > job->deadline;
  if (late || (job->keys.empty() && !job->filter.has_value())) {
    job->result.complete = !late;
    deferred_.calls.push_back([job] { job->done(job->result); });
    return;
  }
  if (job->keys.empty()) {
    readers_.Post([this, job] { PurgePage(job); });
    return;
  }
  const InstanceKey key = std::move(job->keys.front());
  job->keys.pop_front();
  LookUpLocked(key, [this, job, key](
                        const absl::StatusOr<std::optional<InstanceRow>>& row,
                        uint64_t epoch) { PurgeRow(job, key, row, epoch); });
}

void Engine::PurgePage(const std::shared_ptr<PurgeJob>& job) {
  absl::StatusOr<RowPage> page = store_.Query(*job->filter);
  if (!page.ok()) return job->done(page.status());
  for (InstanceRow& row : page->rows) {
    job->keys.push_back({std::move(row.tenant), std::move(row.id)});
  }
  if (page->next.has_value()) {
    job->filter->after = *page->next;
  } else {
    job->filter.reset();
  }
  PurgeNext(job);
}

void Engine::PurgeRow(const std::shared_ptr<PurgeJob>& job,
                      const InstanceKey& key,
                      const absl::StatusOr<std::optional<InstanceRow>>& row,
                      uint64_t epoch) {
  // Its sub-orchestrations stand in its history, which is about to go.
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
    const auto it = directory_.find(DirectoryKey(key));
    const bool open = it != directory_.end();
    const absl::Status status = row.ok() ? ServingLocked() : row.status();
    if (!status.ok()) {
      RefuseLocked(job->done, status);
      next = false;
    } else if (LookupIsOutdatedLocked(key, epoch)) {
      job->keys.push_front(key);
    } else if (open && (!it->second->durable || it->second->ending)) {
      // Which one is there shows when what is on its way is durable.
      AfterCommitsLocked([this, job, key](const absl::Status& status) {
        if (!status.ok()) return job->done(status);
        job->keys.push_front(key);
        PurgeNext(job);
      });
      next = false;
    } else if (!open && row->has_value() && (*row)->finished.has_value()) {
      // The lookup goes on until the row is gone for good.
      PendingCommit commit;
      commit.changes.push_back(EraseInstance{(*row)->number});
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
  if (absl::Status status = ServingLocked(); !status.ok()) {
    return RefuseLocked(done, status);
  }
  PendingCommit commit;
  commit.changes.push_back(EraseEverything{});
  commit.done = [done = std::move(done), waiting = std::exchange(waiters_, {})](
                    const absl::Status& status) {
    for (const auto& [key, waiters] : waiting) {
      for (const Waiter& waiter : waiters) {
        if (status.ok()) {
          waiter.done(std::nullopt);
        } else {
          waiter.done(status);
        }
      }
    }
    done(status);
  };
  ForgetAllLocked();
  commits_.Submit(std::move(commit));
}

}  // namespace leasehold
