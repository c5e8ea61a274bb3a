#include "service/orchestration/worker_watch.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

// Turns that are out for less are not reported.
constexpr absl::Duration kLongTurn = absl::Seconds(5);

size_t Index(const Work& work) { return static_cast<size_t>(work.kind); }

std::string NameOfWorker(WorkerId id, std::string_view peer) {
  return absl::StrCat("worker ", id, " (", std::string(peer), ")");
}

}  // namespace

StoredTime WorkerWatch::WatchLocked(Work& work) {
  engine_.mu_.AssertHeld();
  const StoredTime now = engine_.schedule_.MonotonicNow();
  if (watches_[Index(work)].Watch(work, now))
    engine_.timers_changed_.NotifyAll();
  return now;
}

void WorkerWatch::TakeLateWorkLocked(StoredTime now) {
  engine_.mu_.AssertHeld();
  for (WorkWatch& watch : watches_) {
    while (Watched* late = watch.TakeLate(now)) {
      TakeBackLateLocked(static_cast<Work&>(*late),
                         absl::Microseconds(watch.limit()));
    }
  }
}

std::optional<StoredTime> WorkerWatch::NextLookLocked() const {
  std::optional<StoredTime> next;
  for (const WorkWatch& watch : watches_) {
    const std::optional<WatchTime> look = watch.next_look();
    if (look.has_value() && (!next.has_value() || *look < *next)) next = look;
  }
  return next;
}

void WorkerWatch::TakeBackLateLocked(Work& work, absl::Duration limit) {
  engine_.mu_.AssertHeld();
  if (work.kind != WorkKind::kActivity && engine_.dispatcher_.IsBehind(work)) {
    engine_.dispatcher_.GiveMoreTime(work);
    WatchLocked(work);
    return;
  }
  const WorkerId worker = work.worker;
  const std::string had = absl::StrCat(
      "had it for ", absl::FormatDuration(limit),
      work.kind == WorkKind::kActivity ? " (--activity-timeout)"
                                       : " (--turn-timeout-on-worker)");
  if (!engine_.dispatcher_.HasAnsweredSince(work) &&
      engine_.dispatcher_.SetSilent(worker)) {
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
  engine_.dispatcher_.PutBack(work);
  work.avoid = worker;
  engine_.deliveries_.UnpinLocked(work);
}

void WorkerWatch::HearLocked(WorkKind kind, const WorkName& name,
                             const Work* work) {
  engine_.mu_.AssertHeld();
  const std::string& token = work == nullptr ? name.token : work->token;
  WorkerId worker = work == nullptr ? 0 : work->worker;
  if (worker == 0) worker = engine_.dispatcher_.WorkerOf(token);
  if (worker == 0 || !engine_.dispatcher_.Heard(worker, kind, token)) return;
  engine_.answers_.ObserveLocked(
      {.kind = WorkEventKind::kWorkerAnswers,
       .worker = worker,
       .peer = std::string(engine_.dispatcher_.PeerOf(worker))});
}

std::string WorkerWatch::WithWhomLocked(const Work& work) {
  engine_.mu_.AssertHeld();
  const auto& owned = static_cast<const OwnedWork&>(work);
  if (work.state != Work::State::kOut || !owned.sent) return "";
  const bool turn = work.kind == WorkKind::kTurn;
  const absl::Duration since =
      absl::Microseconds(engine_.schedule_.MonotonicNow() - owned.sent_at);
  const bool late = turn && since >= kLongTurn;
  const bool silent = engine_.dispatcher_.IsSilent(work.worker) ||
                      (late && !engine_.dispatcher_.HasAnsweredSince(work));
  // An activity may take its time.
  if (!late && !silent) return "";
  return absl::StrCat(
      turn ? "its turn" : "the activity " + QuoteForMessage(work.name),
      " has been with ",
      NameOfWorker(work.worker, engine_.dispatcher_.PeerOf(work.worker)),
      " for ", absl::ToInt64Seconds(since), " s",
      silent ? ", which does not answer" : "");
}

}  // namespace leasehold
