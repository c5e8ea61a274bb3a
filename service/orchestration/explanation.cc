#include "service/orchestration/explanation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lease/base/quote.h"

namespace leasehold {
namespace {

using Kind = Cause::Kind;

// Causes that a sentence names.
constexpr size_t kNamedMax = 2;
constexpr size_t kNamesShown = 5;

std::string Ago(const Cause& cause) {
  absl::Duration age =
      std::max(cause.age.value_or(absl::ZeroDuration()), absl::ZeroDuration());
  age = absl::Trunc(
      age, age < absl::Minutes(1) ? absl::Milliseconds(10) : absl::Seconds(1));
  return age == absl::ZeroDuration() ? "0s" : absl::FormatDuration(age);
}

std::string TimeText(const std::optional<absl::Time>& time) {
  return time.has_value() ? absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", *time,
                                             absl::UTCTimeZone())
                          : "an unknown time";
}

std::string Quoted(std::string_view text) { return QuoteForMessage(text); }

// `1 worker`, `2 workers`.
std::string Counted(uint64_t count, const char* what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

// `the activity "Charge" of version "2" (attempt 3; ...)`.
std::string WorkText(const Cause& cause) {
  const char* kind = cause.work == WorkKind::kTurn       ? "orchestrator"
                     : cause.work == WorkKind::kActivity ? "activity"
                                                         : "entity";
  std::string text = absl::StrCat("the ", kind, " ", Quoted(cause.name));
  if (!cause.version.empty()) {
    absl::StrAppend(&text, " of version ", Quoted(cause.version));
  }
  return text;
}

std::string AttemptText(const Cause& cause) {
  if (cause.attempt < 2) return "";
  std::string text = absl::StrCat(" (attempt ", cause.attempt);
  if (!cause.failure.empty()) {
    absl::StrAppend(&text, "; the last one failed: ", cause.failure);
  }
  return text + ")";
}

// `worker 3 (ipv4:10.0.0.7:40112)`.
std::string WorkerText(const Cause& cause) {
  std::string text = absl::StrCat("worker ", cause.worker);
  if (!cause.who.peer.empty()) {
    absl::StrAppend(&text, " (", cause.who.peer, ")");
  }
  return text;
}

std::string HeldText(const Cause& cause) {
  const std::string pin(PinKindName(cause.pin));
  std::string text = absl::StrCat(pin.starts_with("e") ? "an " : "a ", pin);
  if (!cause.who.identity.empty()) {
    absl::StrAppend(&text, " by ", Quoted(cause.who.identity));
  }
  if (!cause.who.peer.empty()) {
    absl::StrAppend(&text, " from ", cause.who.peer);
  }
  return absl::StrCat(text, " has kept it busy for ", Ago(cause));
}

std::string NotTakenText(const Cause& cause) {
  const size_t workers =
      cause.outlook.has_value() ? cause.outlook->reach.workers : 0;
  return absl::StrCat("no connected worker takes ", WorkText(cause), " (",
                      Counted(workers, "worker"), workers == 1 ? " is" : " are",
                      " connected)");
}

std::string NoSlotText(const Cause& cause) {
  const Dispatcher::Outlook outlook =
      cause.outlook.value_or(Dispatcher::Outlook());
  return absl::StrCat(WorkText(cause), " waits: all slots of ",
                      Counted(outlook.takers, "worker"),
                      outlook.takers == 1 ? " that takes" : " that take",
                      " it are in use (", outlook.used, " of ", outlook.slots,
                      ")");
}

std::string WithWorkerText(const Cause& cause) {
  const std::string what = cause.work == WorkKind::kTurn ? "its turn"
                           : cause.work == WorkKind::kEntity
                               ? "a batch of its operations"
                               : WorkText(cause);
  return absl::StrCat(what, AttemptText(cause), " has been with ",
                      WorkerText(cause), " for ", Ago(cause),
                      cause.silent ? ", which does not answer" : "");
}

std::string WorkCauseText(const Cause& cause) {
  const std::string what = WorkText(cause) + AttemptText(cause);
  switch (cause.kind) {
    case Kind::kNoWorker:
      return "no worker is connected that could take " + what;
    case Kind::kNotTaken:
      return NotTakenText(cause);
    case Kind::kNotRegistered:
      return absl::StrCat("every connected worker that could take ", what,
                          " has said that it does not know it (",
                          Counted(cause.outlook->reach.disowns, "worker"), ")");
    case Kind::kSilent:
      return absl::StrCat("no worker that takes ", what, " answers (",
                          Counted(cause.outlook->silent, "silent worker"), ")");
    case Kind::kNoSlot:
      return NoSlotText(cause);
    case Kind::kUnread:
      return absl::StrCat(
          what, " waits: the workers that take it have too much ", "unread (",
          Counted(cause.outlook->unread, "worker"), ")");
    case Kind::kSuspect:
      return absl::StrCat(what, " was lost ", Counted(cause.count, "time"),
                          " and goes out alone; each worker that takes it has "
                          "another such item");
    case Kind::kReady:
      return what + " is about to go to a worker";
    case Kind::kLoading:
      return absl::StrCat(what, " is being prepared for ", WorkerText(cause));
    case Kind::kDelayed:
      return absl::StrCat(
          what, " goes out again in ", Ago(cause), ", because ",
          cause.reason.empty()
              ? "it was given back or lost " + Counted(cause.count, "time")
              : "its instance context could not open: " + cause.reason);
    default:
      return WithWorkerText(cause);
  }
}

std::string EventText(const Cause& cause) {
  if (cause.names.empty()) {
    return "it waits for an event from outside, which its worker does not name";
  }
  std::vector<std::string> names;
  for (const std::string& name : cause.names) {
    if (names.size() == kNamesShown) break;
    names.push_back(Quoted(name));
  }
  return absl::StrCat("it waits for the event ", absl::StrJoin(names, " or "));
}

// `, which orchestration "p" has locked since ...`.
std::string HolderText(const Cause& cause, const char* has) {
  if (cause.holder.empty()) return "";
  return absl::StrCat(", which orchestration ", Quoted(cause.holder), " ", has,
                      " since ", TimeText(cause.at));
}

std::string MessagesText(const Cause& cause) {
  std::string text =
      absl::StrCat(Counted(cause.count, "message"),
                   cause.count == 1 ? " waits" : " wait", " for it");
  if (cause.name.empty()) return text;
  absl::StrAppend(&text, cause.count == 1 ? ": " : ", the first is ",
                  cause.name);
  if (!cause.holder.empty()) {
    absl::StrAppend(&text, " of ", Quoted(cause.holder));
  }
  return text;
}

std::string OrchestrationCauseText(const Cause& cause) {
  switch (cause.kind) {
    case Kind::kSetAside:
      return "it is set aside because it cannot be read: " + cause.reason;
    case Kind::kStoreFailed:
      return "the store cannot be written: " + cause.reason;
    case Kind::kStoring:
      return cause.name + " is being stored";
    case Kind::kScheduled:
      return "its start is scheduled for " + TimeText(cause.at);
    case Kind::kSuspended: {
      std::string text =
          absl::StrCat("it has been suspended since ", TimeText(cause.at));
      if (!cause.reason.empty()) {
        absl::StrAppend(&text, ": ", Quoted(cause.reason));
      }
      return text;
    }
    case Kind::kRetry:
      return absl::StrCat("it tries ",
                          cause.instance_id.empty() ? "" : "sub-orchestration ",
                          Quoted(cause.name), " again at ", TimeText(cause.at),
                          AttemptText(cause));
    case Kind::kTimer:
      return "it waits for a timer that fires at " + TimeText(cause.at);
    case Kind::kEvent:
      return EventText(cause);
    case Kind::kChild:
      return absl::StrCat("it waits for the sub-orchestration ",
                          Quoted(cause.instance_id), " (", cause.name,
                          "), which is ", cause.status, AttemptText(cause));
    case Kind::kEntityCall:
      return absl::StrCat("it waits for the answer of the entity ",
                          Quoted(cause.instance_id), " to ", Quoted(cause.name),
                          HolderText(cause, "has locked"));
    case Kind::kEntityLock:
      return absl::StrCat("it waits for the lock of the entity ",
                          Quoted(cause.instance_id),
                          HolderText(cause, "has had"));
    case Kind::kOpenLimit:
      return absl::StrCat(
          "there is no orchestration of this ID, and a start "
          "is refused: ",
          cause.count, " are open, and ", cause.limit, " may be");
    default:
      return absl::StrCat("it ended at ", TimeText(cause.at),
                          cause.failure.empty() ? "" : ": ", cause.failure);
  }
}

// What a sentence says of one or more causes that read the same.
struct Clause {
  std::string text;
  size_t times = 1;
};

// False: there is no room for it.
bool NameIn(std::vector<Clause>& clauses, const Cause& cause) {
  std::string text = TextOf(cause);
  for (Clause& clause : clauses) {
    if (clause.text != text) continue;
    ++clause.times;
    return true;
  }
  if (clauses.size() == kNamedMax) return false;
  clauses.push_back({std::move(text)});
  return true;
}

void AppendClause(std::string* sentence, const Clause& clause) {
  absl::StrAppend(sentence, clause.text);
  if (clause.times > 1) absl::StrAppend(sentence, ", ", clause.times, " times");
}

}  // namespace

void Explanation::ForEachPeer(absl::FunctionRef<void(std::string&)> each) {
  for (Cause& cause : causes) {
    if (!cause.who.peer.empty()) each(cause.who.peer);
  }
}

std::string TextOf(const Cause& cause) {
  switch (cause.kind) {
    case Kind::kHeld:
      return HeldText(cause);
    case Kind::kCalls:
      return Counted(cause.count, "call") +
             (cause.count == 1 ? " keeps it busy" : " keep it busy");
    case Kind::kWorkHeld:
      return cause.count == 1
                 ? "work that a worker has keeps it busy"
                 : absl::StrCat("work that workers have keeps it busy (",
                                Counted(cause.count, "item"), ")");
    case Kind::kOpening:
      return "its initializers run";
    case Kind::kClosing:
      return "its extensions are being detached";
    case Kind::kLease:
      return "its lease ends in " + Ago(cause);
    case Kind::kProvider:
      return "the server's policy keeps it";
    case Kind::kLocked:
      return absl::StrCat(
          "orchestration ", Quoted(cause.holder), " has locked it since ",
          TimeText(cause.at),
          cause.until.has_value() ? ", until " + TimeText(cause.until) : "");
    case Kind::kMessages:
      return MessagesText(cause);
    case Kind::kLater:
      return absl::StrCat(Counted(cause.count, "message"),
                          cause.count == 1
                              ? " waits for its time, "
                              : " wait for their time, the first until ",
                          TimeText(cause.at));
    case Kind::kNothing:
      return "nothing waits for it";
    case Kind::kStoredLimit:
      return absl::StrCat(
          "starts, events and calls are refused: this tenant has ", cause.count,
          " bytes stored, and may have ", cause.limit);
    default:
      break;
  }
  return cause.kind >= Kind::kNoWorker && cause.kind <= Kind::kDelayed
             ? WorkCauseText(cause)
             : OrchestrationCauseText(cause);
}

std::string SentenceOf(const Explanation& explanation) {
  const std::string id = Quoted(explanation.key.id);
  std::string sentence;
  switch (explanation.subject) {
    case Explanation::Subject::kOrchestration:
      sentence = absl::StrCat("orchestration ", id, " (", explanation.name,
                              ") is ", explanation.status, ": ");
      break;
    case Explanation::Subject::kEntity:
      sentence = absl::StrCat("entity ", id, ": ");
      break;
    case Explanation::Subject::kContext:
      sentence = absl::StrCat("instance ", id, " ", explanation.status, ": ");
      break;
  }
  size_t rest = explanation.more;
  std::vector<Clause> clauses;
  for (const Cause& cause : explanation.causes) {
    rest += !NameIn(clauses, cause);
  }
  absl::StrAppend(&sentence, absl::StrJoin(clauses, "; ", &AppendClause));
  if (rest > 0) absl::StrAppend(&sentence, "; and ", rest, " more");
  return sentence;
}

}  // namespace leasehold
