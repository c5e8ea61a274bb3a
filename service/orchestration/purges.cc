#include "service/orchestration/purges.h"

#include <deque>
#include <iterator>
#include <utility>

#include "service/orchestration/engine_section.h"
#include "service/orchestration/page_queries.h"

namespace leasehold {

struct Purges::PurgeJob {
  std::deque<InstanceKey> keys;
  bool recursive = false;
  // More keys to come, page by page; nullopt: none.
  std::optional<RowQuery> filter = std::nullopt;
  Instant deadline = Instant::Infinite();
  ErrandPtr errand;  // The job is a part of it until its keys are erased.
};

struct Purges::Target {
  InstanceKey key;
  bool recursive = true;
  // Only this run, and only if it is intact; 0: whichever has the key.
  RunNumber only = 0;
  // One of these is null.
  std::shared_ptr<PurgeJob> job = nullptr;
  LetterPtr letter = nullptr;
};

namespace {

// Answers `done` when the errand is over.
ErrandPtr MakeErrand(Done<PurgeResult> done, Instant deadline) {
  auto errand = std::make_shared<Errand>(
      [done = std::move(done)](const absl::Status& status, int64_t reached) {
        const bool late = absl::IsDeadlineExceeded(status);
        if (!status.ok() && !late) return done(status);
        done(PurgeResult{.erased = reached, .complete = !late});
      },
      deadline);
  errand->Begin();
  return errand;
}

}  // namespace

// ---- A caller's purge -------------------------------------------------------

void Purges::Purge(std::vector<InstanceKey> keys, bool recursive,
                   Done<PurgeResult> done) {
  auto job = std::make_shared<PurgeJob>();
  job->keys.assign(std::make_move_iterator(keys.begin()),
                   std::make_move_iterator(keys.end()));
  job->recursive = recursive;
  job->errand = MakeErrand(std::move(done), job->deadline);
  PurgeNext(job);
}

void Purges::PurgeMatching(OrchestrationFilter filter, bool recursive,
                           absl::Duration timeout, Done<PurgeResult> done) {
  auto job = std::make_shared<PurgeJob>();
  job->filter = QueryFor(filter);
  job->filter->finished_only = true;
  job->recursive = recursive;
  job->deadline = engine_.clock_.Now() + timeout;
  job->errand = MakeErrand(std::move(done), job->deadline);
  PurgeNext(job);
}

void Purges::PurgeNext(const std::shared_ptr<PurgeJob>& job) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return EndJobLocked(*job, status);
  }
  const bool late = engine_.clock_.Now() > job->deadline;
  if (late || (job->keys.empty() && !job->filter.has_value())) {
    return EndJobLocked(*job, absl::OkStatus());
  }
  if (job->keys.empty()) {
    engine_.readers_.Post([this, job] { PurgePage(job); });
    return;
  }
  const InstanceKey key = std::move(job->keys.front());
  job->keys.pop_front();
  if (key.id.starts_with('@')) return PurgeEntityLocked(job, key);
  LookUpLocked({.key = key, .recursive = job->recursive, .job = job});
}

void Purges::EraseEndedLocked(std::vector<EndedRun> runs,
                              Done<PurgeResult> done) {
  engine_.mu_.AssertHeld();
  const ErrandPtr errand = MakeErrand(std::move(done), Instant::Infinite());
  for (EndedRun& run : runs) {
    const auto job = std::make_shared<PurgeJob>();
    job->errand = errand;
    errand->Begin();
    LookUpLocked({.key = std::move(run.key),
                  .recursive = false,
                  .only = run.number,
                  .job = job});
  }
  errand->End(absl::OkStatus(), engine_.clock_.Now(), engine_.effects_.calls);
}

void Purges::PurgeEntityLocked(const std::shared_ptr<PurgeJob>& job,
                               const InstanceKey& key) {
  engine_.mu_.AssertHeld();
  engine_.entity_calls_.EraseEntity(
      key, [this, job, key](const absl::StatusOr<bool>& had) {
        {
          Engine::Section section(engine_);
          if (!had.ok()) {
            return EndJobLocked(*job, had.status());
          }
          engine_.answers_.ObserveErasedLocked(key);
          if (*had) job->errand->Reach();
        }
        PurgeNext(job);
      });
}

void Purges::PurgePage(const std::shared_ptr<PurgeJob>& job) {
  absl::StatusOr<RowPage> page = engine_.store_.Query(*job->filter);
  if (!page.ok()) {
    Engine::Section section(engine_);
    return EndJobLocked(*job, page.status());
  }
  for (RunRow& row : page->rows) {
    job->keys.push_back({std::move(row.tenant), std::move(row.id)});
  }
  if (page->next.has_value()) {
    job->filter->after = page->next;
  } else {
    job->filter.reset();
  }
  PurgeNext(job);
}

void Purges::EndJobLocked(PurgeJob& job, const absl::Status& status) {
  engine_.mu_.AssertHeld();
  job.errand->End(status, engine_.clock_.Now(), engine_.effects_.calls);
}

// ---- One orchestration ------------------------------------------------------

void Purges::ActOnLocked(const LetterPtr& letter) {
  engine_.mu_.AssertHeld();
  LookUpLocked({.key = letter->message.to, .letter = letter});
}

void Purges::LookUpLocked(const Target& target) {
  engine_.mu_.AssertHeld();
  engine_.lookups_.Add(
      target.key,
      [this, target](const absl::StatusOr<std::optional<RunRow>>& row,
                     uint64_t reload) { OnFound(target, row, reload); });
}

absl::StatusOr<std::vector<InstanceKey>> Purges::ReadChildren(
    const RunRow& row) {
  std::vector<InstanceKey> children;
  const auto history = engine_.store_.ReadHistory(row.number);
  // What cannot be read any more is erased all the same.
  if (absl::IsDataLoss(history.status())) return children;
  if (!history.ok()) return history.status();
  for (const std::string& chunk : *history) {
    ForEachFrame(chunk, [&](std::string_view bytes) {
      const std::optional<HistoryEvent> event = DecodeEvent(bytes);
      if (!event.has_value()) return;
      if (const auto* child = event->As<SubOrchestrationCreated>()) {
        children.push_back(NormalKey(row.tenant, child->instance_id));
      }
    });
  }
  return children;
}

void Purges::OnFound(const Target& target,
                     const absl::StatusOr<std::optional<RunRow>>& row,
                     uint64_t reload) {
  const InstanceKey& key = target.key;
  absl::Status status = row.status();
  std::vector<InstanceKey> children;
  // They are in its history, which is about to be erased.
  if (row.ok() && row->has_value() && (*row)->finished.has_value() &&
      target.recursive) {
    absl::StatusOr<std::vector<InstanceKey>> read = ReadChildren(**row);
    status = read.status();
    if (read.ok()) children = *std::move(read);
  }
  Engine::Section section(engine_);
  if (target.letter != nullptr && target.letter->forgotten) {
    return engine_.lookups_.End(key, reload);
  }
  if (status.ok()) status = engine_.admission_.serving();
  const OrchestrationPtr present = engine_.directory_.Find(key);
  if (!status.ok()) {
    GiveUpLocked(target, status);
  } else if (engine_.lookups_.IsOutdated(key, reload)) {
    LookUpLocked(target);
  } else if (present != nullptr && (!present->durable || present->ending)) {
    // Which one exists is known once the queued commits are durable.
    engine_.AfterCommitsLocked([this, target](const absl::Status& status) {
      Engine::Section section(engine_);
      if (!status.ok()) return GiveUpLocked(target, status);
      LookUpLocked(target);
    });
  } else if (const RunNumber number = PurgeableLocked(target, present, *row);
             number != 0) {
    // The lookup continues until the row is gone.
    return EraseLocked(target, number, std::move(children), reload);
  } else {
    PassOverLocked(target);
  }
  engine_.lookups_.End(key, reload);
}

RunNumber Purges::PurgeableLocked(const Target& target,
                                  const OrchestrationPtr& present,
                                  const std::optional<RunRow>& row) {
  engine_.mu_.AssertHeld();
  if (target.only != 0) {
    const bool is_there = present == nullptr && row.has_value() &&
                          row->number == target.only && !row->damaged &&
                          row->finished.has_value();
    return is_there ? target.only : 0;
  }
  if (present != nullptr) {
    return present->damage != nullptr ? present->number : 0;
  }
  if (!row.has_value()) return 0;
  return row->damaged || row->finished.has_value() ? row->number : 0;
}

void Purges::EraseLocked(const Target& target, RunNumber number,
                         std::vector<InstanceKey> children, uint64_t reload) {
  engine_.mu_.AssertHeld();
  const InstanceKey& key = target.key;
  const ErrandPtr errand =
      target.job != nullptr ? target.job->errand : target.letter->errand;
  PendingCommit commit;
  commit.changes.push_back(EraseRun{number});
  if (const OrchestrationPtr present = engine_.directory_.Find(key)) {
    engine_.batches_.ReleaseLocksLocked(key, commit);
    engine_.EndLocked(*present);
  }
  commit.apply.push_back([this, key, reload] {
    engine_.mu_.AssertHeld();
    engine_.answers_.ObserveErasedLocked(key);
    engine_.lookups_.End(key, reload);
  });
  for (InstanceKey& child : children) {
    engine_.mail_.SendLocked(key,
                             {.to = std::move(child),
                              .execution_id = {},
                              .event = {},
                              .kind = OutboxMessage::Kind::kPurge},
                             commit, errand);
  }
  if (target.letter != nullptr) {
    return engine_.mail_.CommitLocked(target.letter, std::move(commit),
                                      /*reached=*/true);
  }
  commit.done = [this, job = target.job](const absl::Status& status) {
    {
      Engine::Section section(engine_);
      if (!status.ok()) return EndJobLocked(*job, status);
      job->errand->Reach();
    }
    PurgeNext(job);
  };
  engine_.commits_.Submit(std::move(commit));
}

void Purges::PassOverLocked(const Target& target) {
  engine_.mu_.AssertHeld();
  if (target.letter != nullptr) {
    return engine_.mail_.CommitLocked(target.letter, {}, /*reached=*/false);
  }
  engine_.effects_.calls.push_back(
      [this, job = target.job] { PurgeNext(job); });
}

void Purges::GiveUpLocked(const Target& target, const absl::Status& status) {
  engine_.mu_.AssertHeld();
  if (target.letter != nullptr) {
    return engine_.mail_.PutOffLocked(target.letter, status);
  }
  EndJobLocked(*target.job, status);
}

}  // namespace leasehold
