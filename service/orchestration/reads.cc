#include "service/orchestration/reads.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/page_queries.h"

namespace leasehold {

namespace {

// Approximate limit for a page: by default, clients receive at most 4 MiB in
// one message.
constexpr size_t kPageBytesMax = 3 << 20;

// Activities of one orchestration to check for what it waits for.
constexpr size_t kActivitiesMax = 1000;

// To read all runs of an ID while one of them goes on.
constexpr int kRunsAttempts = 10;

StoredRun StoredRunOf(const OrchestrationInfo& info, const HistoryEnds& ends) {
  StoredRun run{.execution_id = info.summary.execution_id,
                .status = info.status,
                .began = info.created,
                .ended = info.finished,
                .parent_id = info.summary.parent_id.value_or("")};
  // Its history begins with its present execution.
  ForEachFrame(ends.first, [&run](std::string_view bytes) {
    const std::optional<HistoryEvent> event = DecodeEvent(bytes);
    if (!event.has_value() || event->As<ExecutionStarted>() == nullptr) return;
    const absl::Time began = FromStored(ToStored(ToTime(event->time)));
    run.continues = began > run.began;
    run.began = began;
  });
  return run;
}

}  // namespace

absl::StatusOr<std::optional<OrchestrationInfo>> Reads::ReadInfo(
    const InstanceKey& key, bool payloads) {
  for (;;) {
    const auto row = engine_.store_.Find(key.tenant, key.id);
    if (!row.ok()) return row.status();
    if (!row->has_value()) return std::nullopt;
    if (std::string damage = engine_.recovery_.DamageOf(**row);
        !damage.empty()) {
      return DamagedInfoOf(**row, damage);
    }
    absl::StatusOr<OrchestrationInfo> info = InfoOf(**row);
    if (!info.ok())
      return DamagedInfoOf(**row, std::string(info.status().message()));
    if (!payloads) return *std::move(info);

    {
      const Engine::Look look(engine_);
      // Includes one whose end is being committed: its start is the same.
      const OrchestrationPtr open = engine_.directory_.Find(key);
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
    const auto ends = engine_.store_.ReadHistoryEnds((*row)->number);
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
    const auto again = engine_.store_.Find(key.tenant, key.id);
    if (!again.ok()) return again.status();
    if (*again != *row) continue;
    if (!status.ok()) {
      return DamagedInfoOf(**row, std::string(status.message()));
    }
    return *std::move(info);
  }
}

absl::Status Reads::AddPendingInput(RunNumber number, OrchestrationInfo& info) {
  // The start comes before all other messages.
  const auto first = engine_.store_.ReadMessages(number, {.count_max = 1});
  if (!first.ok()) return first.status();
  if (auto started = StartIn(*first)) info.input = std::move(started->input);
  return absl::OkStatus();
}

void Reads::PostReadLocked(const InstanceKey& key, bool payloads,
                           Done<std::optional<OrchestrationInfo>> done) {
  engine_.mu_.AssertHeld();
  // Taken before the read: the data may be newer, but never older.
  const OrchestrationPtr present = engine_.directory_.Find(key);
  const uint64_t revision = present == nullptr ? 0 : present->revision;
  engine_.readers_.Post(
      [this, key, payloads, revision, done = std::move(done)] {
        absl::StatusOr<std::optional<OrchestrationInfo>> info =
            ReadInfo(key, payloads);
        if (info.ok() && info->has_value()) {
          (*info)->revision = revision;
          if (!IsFinished((*info)->status))
            (*info)->waiting_for = WaitingFor(key);
        }
        done(std::move(info));
      });
}

void Reads::PostReadLocked(const InstanceKey& key, bool payloads,
                           Done<SharedInfo> done) {
  engine_.mu_.AssertHeld();
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

std::string Reads::WaitingFor(const InstanceKey& key) {
  const Engine::Look look(engine_);
  const OrchestrationPtr open = engine_.directory_.FindOpen(key);
  if (open == nullptr) return "";
  const auto waits_for = [this](const Work& work) {
    engine_.mu_.AssertHeld();
    std::string unwanted = engine_.answers_.UnwantedLocked(work);
    return unwanted.empty() ? engine_.worker_watch_.WithWhomLocked(work)
                            : unwanted;
  };
  std::string what = waits_for(open->turn);
  size_t looked_at = 0;
  for (const auto& [id, activity] : open->activities) {
    if (!what.empty() || ++looked_at > kActivitiesMax) break;
    what = waits_for(*activity);
  }
  return what;
}

void Reads::Get(const InstanceKey& key, bool payloads,
                Done<std::optional<OrchestrationInfo>> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.readable(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  PostReadLocked(key, payloads, std::move(done));
}

void Reads::Query(OrchestrationQuery query, Done<OrchestrationPage> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.readable(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  engine_.readers_.Post(
      [this, query = std::move(query), done = std::move(done)] {
        const PageTokens& tokens = *engine_.page_tokens_;
        const absl::StatusOr<RowQuery> selected = QueryFor(query, tokens);
        if (!selected.ok()) return done(selected.status());
        absl::StatusOr<RowPage> rows = engine_.store_.Query(*selected);
        if (!rows.ok()) return done(rows.status());
        Cut(query.filter.count_max, *rows);
        OrchestrationPage page;
        std::optional<RowPosition> next = rows->next;
        size_t bytes = 0;
        for (size_t i = 0; i < rows->rows.size(); ++i) {
          const RunRow& row = rows->rows[i];
          absl::StatusOr<std::optional<OrchestrationInfo>> info = InfoOf(row);
          std::string damage = engine_.recovery_.DamageOf(row);
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
            next = PositionOf(rows->rows[i - 1]);
            break;
          }
          page.orchestrations.push_back(**std::move(info));
        }
        if (next.has_value()) {
          page.next_page_token = TokenFor(query, *next, tokens);
        }
        done(std::move(page));
      });
}

void Reads::Count(OrchestrationFilter filter, absl::Duration timeout,
                  Done<CountedOrchestrations> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.readable(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  const Instant deadline = engine_.clock_.Now() + timeout;
  engine_.readers_.Post(
      [this, query = QueryFor(filter), deadline, done = std::move(done)] {
        CountPart(query, deadline, CountedOrchestrations(), done);
      });
}

void Reads::CountPart(RowQuery query, Instant deadline,
                      CountedOrchestrations counts,
                      Done<CountedOrchestrations> done) {
  const absl::StatusOr<RowCounts> part = engine_.store_.Count(query);
  if (!part.ok()) return done(part.status());
  for (const auto& [status, count] : part->by_status) {
    counts.by_status[static_cast<OrchestrationStatus>(status)] += count;
  }
  if (!part->next.has_value()) return done(std::move(counts));
  if (engine_.clock_.Now() >= deadline) {
    counts.complete = false;
    return done(std::move(counts));
  }
  query.after = part->next;
  // Behind others that wait for a reader.
  engine_.readers_.Post(
      [this, query = std::move(query), deadline, counts = std::move(counts),
       done = std::move(done)] { CountPart(query, deadline, counts, done); });
}

void Reads::ListFinished(FinishedIdsQuery query, Done<FinishedIdsPage> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.readable(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  engine_.readers_.Post([this, query = std::move(query),
                         done = std::move(done)] {
    const PageTokens& tokens = *engine_.page_tokens_;
    const absl::StatusOr<FinishedQuery> selected = QueryFor(query, tokens);
    if (!selected.ok()) return done(selected.status());
    absl::StatusOr<FinishedPage> found = engine_.store_.ListFinished(*selected);
    if (!found.ok()) return done(found.status());
    Cut(query.count_max, *found);
    FinishedIdsPage page;
    for (RunRow& row : found->rows) page.ids.push_back(std::move(row.id));
    if (found->next.has_value()) {
      const std::string last_id = page.ids.empty() ? "" : page.ids.back();
      page.next_page_token = TokenFor(query, last_id, *found->next, tokens);
    }
    done(std::move(page));
  });
}

absl::StatusOr<std::vector<StoredRun>> Reads::ReadRunsOf(
    const InstanceKey& key) {
  // So often; others wait for this reader, and what was read last is not wrong
  // by more than a turn.
  for (int attempts = 1;; ++attempts) {
    const auto row = engine_.store_.Find(key.tenant, key.id);
    if (!row.ok()) return row.status();
    std::vector<StoredRun> runs;
    if (!row->has_value()) return runs;
    auto rows = engine_.store_.ReadReplaced(key.tenant, key.id);
    if (!rows.ok()) return rows.status();
    rows->insert(rows->begin(), **row);
    for (const RunRow& one : *rows) {
      const absl::StatusOr<OrchestrationInfo> info = InfoOf(one);
      if (!info.ok()) continue;
      const auto ends = engine_.store_.ReadHistoryEnds(one.number);
      if (absl::IsDataLoss(ends.status())) continue;
      if (!ends.ok()) return ends.status();
      runs.push_back(StoredRunOf(*info, *ends));
    }
    // As ReadInfo: all reads are of one moment.
    const auto again = engine_.store_.Find(key.tenant, key.id);
    if (!again.ok()) return again.status();
    if (*again == *row || attempts == kRunsAttempts) return runs;
  }
}

void Reads::ReadRuns(const InstanceKey& key,
                     Done<std::vector<StoredRun>> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.readable(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  engine_.readers_.Post(
      [this, key, done = std::move(done)] { done(ReadRunsOf(key)); });
}

absl::StatusOr<Reads::Execution> Reads::FindExecution(
    const InstanceKey& key, const Payload& execution_id, bool replaced) {
  const auto row = engine_.store_.Find(key.tenant, key.id);
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
    const auto rows = engine_.store_.ReadReplaced(key.tenant, key.id);
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

absl::StatusOr<HistoryPage> Reads::ReadHistoryPage(const InstanceKey& key,
                                                   HistoryQuery query) {
  const auto from = PositionIn(key, query, *engine_.page_tokens_);
  if (!from.ok()) return from.status();
  const bool begun = from->has_value();
  HistoryPosition position = from->value_or(HistoryPosition());
  for (;;) {
    auto run = FindExecution(key, query.execution_id, query.replaced || begun);
    if (!run.ok() && !(begun && absl::IsNotFound(run.status()))) {
      return run.status();
    }
    if (!begun) position.number = run->number;
    if (run.ok() && run->number == position.number) {
      absl::StatusOr<HistoryPart> part = engine_.store_.ReadHistoryPart(
          position.number, position.chunk, query.bytes_max);
      // Continue-as-new and rewind replace a run's history: was this part read
      // from the history that was found?
      const auto again = FindExecution(key, run->id, /*replaced=*/true);
      if (again.ok() && again->number == position.number) {
        if (!part.ok()) return part.status();
        HistoryPage page{std::move(part->chunks), std::nullopt};
        if (part->next.has_value()) {
          query.execution_id = std::move(run->id);
          query.page_token.text =
              TokenFor(key, query, {position.number, *part->next},
                       *engine_.page_tokens_);
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

void Reads::ReadHistory(const InstanceKey& key, HistoryQuery query,
                        Done<HistoryPage> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.readable(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  engine_.readers_.Post(
      [this, key, query = std::move(query), done = std::move(done)] {
        done(ReadHistoryPage(key, query));
      });
}

}  // namespace leasehold
