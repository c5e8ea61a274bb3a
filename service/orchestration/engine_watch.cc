// The engine's watch over work that is out with a hanging worker.
//
// A worker may hang without dying: its process is stopped, an orchestrator
// loops, an answer was forgotten. So work that has been out for its time limit
// is lost, as if its worker had gone, and goes to another one. If the worker
// has answered nothing at all since it was sent that work, it is silent: other
// workers come first until it answers again. Any answer, even a late one, ends
// the silence.
//
// A worker takes more turns than it runs at once. While it answers earlier
// turns, one that it has not reached is not late: if sent again, it would wait
// at the end of the same line, and its first answer would be refused.
#include <string>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine.h"
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

StoredTime Engine::WatchLocked(Work& work) {
  const StoredTime now = MonotonicLocked();
  if (watches_[Index(work)].Watch(work, now)) timers_changed_.NotifyAll();
  return now;
}

void Engine::TakeLateWorkLocked(StoredTime now) {
  for (WorkWatch& watch : watches_) {
    while (Watched* late = watch.TakeLate(now)) {
      TakeBackLateLocked(static_cast<Work&>(*late),
                         absl::Microseconds(watch.limit()));
    }
  }
}

void Engine::TakeBackLateLocked(Work& work, absl::Duration limit) {
  const bool turn = work.kind == WorkKind::kTurn;
  if (turn && dispatcher_.IsBehind(work)) {
    dispatcher_.GiveMoreTime(work);
    WatchLocked(work);
    return;
  }
  const WorkerId worker = work.worker;
  const std::string had = absl::StrCat(
      "had it for ", absl::FormatDuration(limit),
      turn ? " (--turn-timeout-on-worker)" : " (--activity-timeout)");
  if (!dispatcher_.HasAnsweredSince(work) && dispatcher_.SetSilent(worker)) {
    takers_changed_ = true;
    ObserveLocked(WorkEventKind::kWorkerSilent, work, 0,
                  absl::StrCat("it ", had, " and has answered nothing since"));
  }
  CountLossLocked(work, absl::StrCat("its worker ", had),
                  WorkEventKind::kTimedOut);
  if (work.state != Work::State::kOut) return;  // It has failed.
  takers_changed_ = true;
  if (Owned(work).lost >= kSuspectAfter) return RetryLocked(work);
  std::erase(Owned(work).owner.unsent, &work);
  dispatcher_.PutBack(work);
  work.avoid = worker;
  UnpinLocked(work);
}

void Engine::HearLocked(WorkKind kind, const WorkName& name, const Work* work) {
  const std::string& token = work == nullptr ? name.token : work->token;
  WorkerId worker = work == nullptr ? 0 : work->worker;
  if (worker == 0) worker = dispatcher_.WorkerOf(token);
  if (worker == 0 || !dispatcher_.Heard(worker, kind, token)) return;
  ObserveLocked({.kind = WorkEventKind::kWorkerAnswers,
                 .worker = worker,
                 .peer = std::string(dispatcher_.PeerOf(worker))});
}

std::string Engine::WithWhomLocked(const Work& work) {
  const auto& owned = static_cast<const OwnedWork&>(work);
  if (work.state != Work::State::kOut || !owned.sent) return "";
  const bool turn = work.kind == WorkKind::kTurn;
  const absl::Duration since =
      absl::Microseconds(MonotonicLocked() - owned.sent_at);
  const bool late = turn && since >= kLongTurn;
  const bool silent = dispatcher_.IsSilent(work.worker) ||
                      (late && !dispatcher_.HasAnsweredSince(work));
  // An activity may take its time.
  if (!late && !silent) return "";
  return absl::StrCat(
      turn ? "its turn" : "the activity " + QuoteForMessage(work.name),
      " has been with ",
      NameOfWorker(work.worker, dispatcher_.PeerOf(work.worker)), " for ",
      absl::ToInt64Seconds(since), " s",
      silent ? ", which does not answer" : "");
}

}  // namespace leasehold
