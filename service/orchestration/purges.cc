#include "service/orchestration/purges.h"

#include <deque>
#include <iterator>
#include <utility>

#include "service/orchestration/engine_section.h"
#include "service/orchestration/page_queries.h"

namespace leasehold {

// The keys to purge; sub-orchestrations are added on the way.
struct Purges::PurgeJob {
  std::deque<InstanceKey> keys;
  bool recursive = false;
  Done<PurgeResult> done;
  PurgeResult result;
  // More keys to come, page by page; nullopt: none.
  std::optional<RowQuery> filter;
  Instant deadline = Instant::Infinite();
};

void Purges::Purge(std::vector<InstanceKey> keys, bool recursive,
                   Done<PurgeResult> done) {
  auto job = std::make_shared<PurgeJob>();
  job->keys.assign(std::make_move_iterator(keys.begin()),
                   std::make_move_iterator(keys.end()));
  job->recursive = recursive;
  job->done = std::move(done);
  PurgeNext(job);
}

void Purges::PurgeMatching(OrchestrationFilter filter, bool recursive,
                           absl::Duration timeout, Done<PurgeResult> done) {
  auto job = std::make_shared<PurgeJob>();
  job->filter = QueryFor(filter);
  job->filter->finished_only = true;
  job->recursive = recursive;
  job->deadline = engine_.clock_.Now() + timeout;
  job->done = std::move(done);
  PurgeNext(job);
}

void Purges::PurgeNext(const std::shared_ptr<PurgeJob>& job) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return engine_.RefuseLocked(job->done, status);
  }
  const bool late = engine_.clock_.Now() > job->deadline;
  if (late || (job->keys.empty() && !job->filter.has_value())) {
    job->result.complete = !late;
    engine_.effects_.calls.push_back([job] { job->done(job->result); });
    return;
  }
  if (job->keys.empty()) {
    engine_.readers_.Post([this, job] { PurgePage(job); });
    return;
  }
  const InstanceKey key = std::move(job->keys.front());
  job->keys.pop_front();
  if (key.id.starts_with('@')) return PurgeEntityLocked(job, key);
  engine_.lookups_.Add(
      key,
      [this, job, key](const absl::StatusOr<std::optional<RunRow>>& row,
                       uint64_t epoch) { PurgeRow(job, key, row, epoch); });
}

void Purges::PurgeEntityLocked(const std::shared_ptr<PurgeJob>& job,
                               const InstanceKey& key) {
  engine_.mu_.AssertHeld();
  engine_.entity_reads_.Erase(key,
                              [this, job](const absl::StatusOr<bool>& had) {
                                if (!had.ok()) return job->done(had.status());
                                if (*had) ++job->result.erased;
                                PurgeNext(job);
                              });
}

void Purges::PurgePage(const std::shared_ptr<PurgeJob>& job) {
  absl::StatusOr<RowPage> page = engine_.store_.Query(*job->filter);
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

RunNumber Purges::PurgeableLocked(const InstanceKey& key,
                                  const std::optional<RunRow>& row) {
  engine_.mu_.AssertHeld();
  if (const OrchestrationPtr present = engine_.directory_.Find(key)) {
    return present->damage != nullptr ? present->number : 0;
  }
  if (!row.has_value()) return 0;
  return row->damaged || row->finished.has_value() ? row->number : 0;
}

void Purges::PurgeRow(const std::shared_ptr<PurgeJob>& job,
                      const InstanceKey& key,
                      const absl::StatusOr<std::optional<RunRow>>& row,
                      uint64_t epoch) {
  // Its sub-orchestrations are in its history, which is about to be erased.
  if (row.ok() && row->has_value() && (*row)->finished.has_value() &&
      job->recursive) {
    const auto history = engine_.store_.ReadHistory((*row)->number);
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
    Engine::Section section(engine_);
    const OrchestrationPtr present = engine_.directory_.Find(key);
    const absl::Status status =
        row.ok() ? engine_.admission_.serving() : row.status();
    if (!status.ok()) {
      engine_.RefuseLocked(job->done, status);
      next = false;
    } else if (engine_.lookups_.IsOutdated(key, epoch)) {
      job->keys.push_front(key);
    } else if (present != nullptr && (!present->durable || present->ending)) {
      // Which one exists is known once the queued commits are durable.
      engine_.AfterCommitsLocked([this, job, key](const absl::Status& status) {
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
      if (present != nullptr) {
        engine_.batches_.ReleaseLocksLocked(key, commit);
        engine_.EndLocked(*present);
      }
      commit.apply.push_back([this, key, epoch] {
        engine_.mu_.AssertHeld();
        engine_.lookups_.End(key, epoch);
      });
      commit.done = [this, job](const absl::Status& status) {
        if (!status.ok()) return job->done(status);
        ++job->result.erased;
        PurgeNext(job);
      };
      engine_.commits_.Submit(std::move(commit));
      return;
    }
    engine_.lookups_.End(key, epoch);
  }
  if (next) PurgeNext(job);
}

void Purges::Wipe(DoneStatus done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  PendingCommit commit;
  commit.changes.push_back(EraseEverything{});
  commit.done = [done = std::move(done),
                 waiting = engine_.wait_list_.TakeAllLocked()](
                    const absl::Status& status) {
    for (const WaitList::Waiter& waiter : waiting) {
      if (status.ok()) {
        waiter.done(nullptr);
      } else {
        waiter.done(status);
      }
    }
    done(status);
  };
  engine_.recovery_.ForgetAllLocked();
  engine_.commits_.Submit(std::move(commit));
}

}  // namespace leasehold
