#include "service/orchestration/worker_watch.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

// Turns that are out for less are not reported.
constexpr absl::Duration kReportedTurn = absl::Seconds(5);

std::string NameOfWorker(WorkerId id, std::string_view peer) {
  return absl::StrCat("worker ", id, " (", std::string(peer), ")");
}

}  // namespace

StoredTime WorkerWatch::WatchLocked(Work& work) {
  engine_.mu_.AssertHeld();
  const StoredTime now = engine_.schedule_.MonotonicNow();
  if (engine_.dispatcher_.Watch(work, now)) engine_.timers_changed_.NotifyAll();
  return now;
}

void WorkerWatch::TakeLateWorkLocked(StoredTime now) {
  engine_.mu_.AssertHeld();
  while (const auto late = engine_.dispatcher_.TakeLate(engine_.owner_, now)) {
    TakeBackLateLocked(*late);
  }
}

std::optional<StoredTime> WorkerWatch::NextLookLocked() const {
  return engine_.dispatcher_.NextLook(engine_.owner_);
}

void WorkerWatch::TakeBackLateLocked(const SharedDispatcher::Late& late) {
  engine_.mu_.AssertHeld();
  Work& work = *late.work;
  const std::string had = absl::StrCat(
      "had it for ", absl::FormatDuration(late.limit),
      work.kind == WorkKind::kActivity ? " (--activity-timeout)"
                                       : " (--turn-timeout-on-worker)");
  if (late.silenced) {
    engine_.ends_.OnTakersChangedLocked();
    engine_.answers_.ObserveLocked(
        WorkEventKind::kWorkerSilent, work, 0,
        absl::StrCat("it ", had, " and has answered nothing since"));
  }
  engine_.answers_.CountLossLocked(work, absl::StrCat("its worker ", had),
                                   WorkEventKind::kTimedOut);
  if (work.state != Work::State::kOut) return;  // It has failed.
  engine_.ends_.OnTakersChangedLocked();
  if (Owned(work).lost >= kSuspectAfter)
    return engine_.answers_.RetryLocked(work);
  std::erase(Owned(work).owner.unsent, &work);
  engine_.dispatcher_.PutBack(work, /*avoid=*/work.worker);
  engine_.deliveries_.UnpinLocked(work);
}

void WorkerWatch::HearLocked(const WorkName& name, const Work* work) {
  engine_.mu_.AssertHeld();
  if (!name.token.empty() || work == nullptr) return;
  const SharedDispatcher::Awake awake =
      engine_.dispatcher_.Hear(*work, engine_.schedule_.MonotonicNow());
  if (awake == nullptr) return;
  engine_.answers_.ObserveLocked({.kind = WorkEventKind::kWorkerAnswers,
                                  .worker = awake->id,
                                  .peer = awake->peer});
}

std::string WorkerWatch::WithWhomLocked(const Work& work) {
  engine_.mu_.AssertHeld();
  const auto& owned = static_cast<const OwnedWork&>(work);
  if (work.state != Work::State::kOut || !owned.sent) return "";
  const bool turn = work.kind == WorkKind::kTurn;
  const absl::Duration since =
      absl::Microseconds(engine_.schedule_.MonotonicNow() - owned.moves_at);
  const bool late = turn && since >= kReportedTurn;
  const SharedDispatcher::Standing worker =
      engine_.dispatcher_.StandingOf(work);
  const bool silent = worker.silent || (late && !worker.has_answered);
  // An activity may take its time.
  if (!late && !silent) return "";
  return absl::StrCat(turn ? "its turn"
                      : work.kind == WorkKind::kEntity
                          ? "a batch of its operations"
                          : "the activity " + QuoteForMessage(work.name),
                      " has been with ",
                      NameOfWorker(work.worker, work.taker->peer), " for ",
                      absl::ToInt64Seconds(since), " s",
                      silent ? ", which does not answer" : "");
}

}  // namespace leasehold
