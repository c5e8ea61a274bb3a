#include "client/testing/test_world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/testing/code_run.h"
#include "client/testing/event_text.h"
#include "client/testing/test_error.h"
#include "service/base/invariant.h"
#include "service/rpc/caller.h"

namespace leasehold::testkit {
namespace {

std::string NameOf(const OrchestrationInfo& info) {
  return absl::StrCat("orchestration \"", info.id, "\" (", info.summary.name,
                      ")");
}

// The instance ID of the sub-orchestration that is task `id`; empty: it is
// none.
std::string ChildOf(const TestWorld::History& history, int32_t id) {
  for (const ::HistoryEvent& event : history) {
    if (event.has_suborchestrationinstancecreated() && event.eventid() == id) {
      return event.suborchestrationinstancecreated().instanceid();
    }
  }
  return "";
}

}  // namespace

InstanceKey TestWorld::KeyOf(const std::string& id) {
  return NormalKey(Anonymous()->tenant, id);
}

TestWorld::TestWorld(TestOptions options)
    : options_(std::move(options)),
      clock_(options_.start),
      dice_(options_.seed),
      server_(std::make_unique<TestServer>(clock_, store_, dice_)),
      workers_(clock_, dice_, code_,
               {.count = std::max(options_.workers, 1),
                .fault_chance = options_.fault_chance,
                .log = options_.log}) {
  workers_.Connect(server_->work());
}

// ---- Time -------------------------------------------------------------------

bool TestWorld::Step() {
  const size_t ready = workers_.ready();
  if (!server_->busy() && ready == 0) return false;
  if (dice_.Happens(options_.restart_chance)) {
    RestartServer();
    return true;
  }
  // A task of the server is as likely as each thing that workers can do.
  const size_t which = dice_.OneOf(ready + (server_->busy() ? 1 : 0));
  if (which < ready) {
    workers_.Do(which);
  } else {
    server_->RunTask();
  }
  return true;
}

void TestWorld::CheckTurns(uint64_t since) {
  if (workers_.turns() - since <= static_cast<uint64_t>(options_.turns_max)) {
    return;
  }
  Fail(absl::StrCat("the orchestrations did not come to rest within ",
                    options_.turns_max,
                    " turns (TestOptions::turns_max); does one continue as new "
                    "without waiting for anything?"));
}

void TestWorld::Settle() {
  const uint64_t turns = workers_.turns();
  while (Step()) CheckTurns(turns);
}

std::optional<absl::Time> TestWorld::NextDue() const {
  const std::optional<absl::Time> server = server_->NextDue();
  const std::optional<absl::Time> workers = workers_.NextDue();
  if (!server.has_value() || !workers.has_value()) {
    return server.has_value() ? server : workers;
  }
  return std::min(*server, *workers);
}

void TestWorld::MoveTo(absl::Time time) {
  clock_.AdvanceTo(time);
  server_->FireDue();
}

bool TestWorld::MoveToNext(absl::Time until) {
  const std::optional<absl::Time> due = NextDue();
  if (!due.has_value()) return false;
  // What is due is done by now, unless it is due a fraction of a tick later.
  const absl::Time next = std::max(*due, Now() + absl::Microseconds(1));
  if (next > until) return false;
  MoveTo(next);
  return true;
}

void TestWorld::Advance(absl::Duration duration) {
  const absl::Time until = Now() + duration;
  Settle();
  while (MoveToNext(until)) Settle();
  MoveTo(until);
  Settle();
}

void TestWorld::RunUntilIdle() {
  const absl::Time until = Now() + options_.time_max;
  const uint64_t turns = workers_.turns();
  Settle();
  while (MoveToNext(until)) {
    Settle();
    CheckTurns(turns);
  }
  if (!NextDue().has_value()) return;
  Fail(absl::StrCat("the orchestrations did not come to rest within ",
                    absl::FormatDuration(options_.time_max),
                    " of virtual time (TestOptions::time_max); run those that "
                    "live for ever with Advance"));
}

bool TestWorld::RunUntilEnded(const std::string& id) {
  const auto ended = [&] { return IsFinished(Get(id).status); };
  const absl::Time until = Now() + options_.time_max;
  const uint64_t turns = workers_.turns();
  Settle();
  while (!ended()) {
    if (!MoveToNext(until)) return false;
    Settle();
    CheckTurns(turns);
  }
  return true;
}

void TestWorld::RestartServer() {
  workers_.LoseServer();
  server_.reset();
  server_ = std::make_unique<TestServer>(clock_, store_, dice_);
  workers_.Connect(server_->work());
}

// ---- Calls ------------------------------------------------------------------

void TestWorld::Pump(const std::function<bool()>& answered) {
  while (!answered()) {
    CheckInvariant(server_->busy(), "each call to the server is answered");
    server_->RunTask();
  }
}

absl::Status TestWorld::Call(
    const std::function<void(Orchestrations&, DoneStatus)>& call) {
  const auto answer = std::make_shared<std::optional<absl::Status>>();
  call(server_->orchestrations(),
       [answer](const absl::Status& status) { *answer = status; });
  Pump([&] { return answer->has_value(); });
  return **answer;
}

template <typename T>
absl::StatusOr<T> TestWorld::Answer(const std::function<void(Done<T>)>& ask) {
  const auto answer = std::make_shared<std::optional<absl::StatusOr<T>>>();
  ask([answer](absl::StatusOr<T> with) { *answer = std::move(with); });
  Pump([&] { return answer->has_value(); });
  return **std::move(answer);
}

template <typename T>
absl::StatusOr<T> TestWorld::Ask(
    const std::function<void(Orchestrations&, Done<T>)>& ask) {
  return Answer<T>(
      [&](Done<T> done) { ask(server_->orchestrations(), std::move(done)); });
}

std::optional<EntityInfo> TestWorld::FindEntity(const worker::EntityId& id) {
  using Info = std::optional<EntityInfo>;
  auto info = Answer<Info>([&](Done<Info> done) {
    server_->entities().GetEntity(KeyOf(id.text()), /*state=*/true,
                                  std::move(done));
  });
  if (!info.ok()) Fail(std::string(info.status().message()));
  return *std::move(info);
}

void TestWorld::SignalEntity(const worker::EntityId& id,
                             const std::string& operation,
                             worker::Payload input, absl::Duration after) {
  EntitySignal signal{.key = KeyOf(id.text()),
                      .operation = operation,
                      .input = std::move(input)};
  if (after > absl::ZeroDuration()) {
    signal.scheduled = ToTimestamp(Now() + after);
  }
  const auto answer = std::make_shared<std::optional<absl::Status>>();
  server_->entities().Signal(
      std::move(signal),
      [answer](const absl::Status& status) { *answer = status; });
  Pump([&] { return answer->has_value(); });
  if ((*answer)->ok()) return;
  Fail(absl::StrCat("the server has refused to signal entity \"", id.text(),
                    "\": ", std::string((*answer)->message())));
}

std::string TestWorld::Start(const std::string& name, worker::Payload input,
                             const TestStart& start) {
  code_.Orchestrator(name);  // Throws if it is missing.
  StartRequest request;
  const int number = ++started_[name];
  request.key =
      KeyOf(start.id.empty() ? absl::StrCat(name, "-", number) : start.id);
  request.name = name;
  request.version = start.version;
  request.input = std::move(input);
  request.tags.assign(start.tags.begin(), start.tags.end());
  if (start.after > absl::ZeroDuration()) {
    request.scheduled_start = ToTimestamp(Now() + start.after);
  }
  const auto receipt = Ask<StartReceipt>(
      [&](Orchestrations& server, const Done<StartReceipt>& done) {
        server.Start(std::move(request), done);
      });
  if (!receipt.ok()) {
    Fail(absl::StrCat("the server has refused to start \"", name,
                      "\": ", std::string(receipt.status().message())));
  }
  return receipt->instance_id;
}

std::optional<OrchestrationInfo> TestWorld::Find(const std::string& id) {
  using Info = std::optional<OrchestrationInfo>;
  auto info = Ask<Info>([&](Orchestrations& server, const Done<Info>& done) {
    server.Get(KeyOf(id), /*payloads=*/true, done);
  });
  CheckInvariant(info.ok(), "what is in memory can be read");
  return *std::move(info);
}

OrchestrationInfo TestWorld::Get(const std::string& id) {
  std::optional<OrchestrationInfo> info = Find(id);
  if (!info.has_value()) {
    Fail(absl::StrCat("there is no orchestration \"", id, "\""));
  }
  return *std::move(info);
}

TestWorld::History TestWorld::GetHistory(const std::string& id) {
  History history;
  std::optional<HistoryQuery> next = HistoryQuery();
  while (next.has_value()) {
    const auto page = Ask<HistoryPage>(
        [&](Orchestrations& server, const Done<HistoryPage>& done) {
          server.ReadHistory(KeyOf(id), *next, done);
        });
    if (!page.ok()) Fail(std::string(page.status().message()));
    for (const std::string& chunk : page->chunks) {
      ForEachFrame(chunk, [&](std::string_view bytes) {
        CheckInvariant(history.emplace_back().ParseFromArray(
                           bytes.data(), static_cast<int>(bytes.size())),
                       "a history consists of events of the protocol");
      });
    }
    next = page->next;
  }
  return history;
}

// ---- For people -------------------------------------------------------------

std::string TestWorld::WaitsFor(const std::string& id) {
  const OrchestrationInfo info = Get(id);
  if (IsFinished(info.status)) return "";
  if (info.status == leasehold::OrchestrationStatus::kSuspended) {
    return "to be resumed: it is suspended";
  }
  const History history = GetHistory(id);
  if (history.empty()) return "its first turn";
  ::OrchestratorRequest request;
  request.set_instanceid(id);
  request.mutable_executionid()->set_value(info.summary.execution_id);
  request.mutable_pastevents()->Assign(history.begin(), history.end());
  std::vector<std::string> waits;
  for (const AwaitedThing& thing :
       AwaitedBy(code_, info.summary.name, request)) {
    std::string text = thing.what;
    if (thing.task_id.has_value()) {
      absl::StrAppend(&text, " (task ", *thing.task_id, ")");
      const std::string child = ChildOf(history, *thing.task_id);
      if (!child.empty() && Find(child).has_value()) {
        absl::StrAppend(&text, ", which waits for ", WaitsFor(child));
      }
    }
    waits.push_back(std::move(text));
  }
  if (waits.empty()) return "its next turn";
  return absl::StrJoin(waits, ", and ");
}

std::vector<std::string> TestWorld::HistoryLines(const std::string& id) {
  std::vector<std::string> lines;
  for (const ::HistoryEvent& event : GetHistory(id)) {
    lines.push_back(EventLine(event, clock_.start()));
  }
  return lines;
}

std::string TestWorld::Outcome(const OrchestrationInfo& info) {
  using Status = leasehold::OrchestrationStatus;
  switch (info.status) {
    case Status::kCompleted:
      return absl::StrCat("it completed with ",
                          info.output.value_or("no output"));
    case Status::kFailed:
      return absl::StrCat(
          "it failed: ",
          FailureText(DecodeFailure(info.failure.bytes.value_or(""))));
    case Status::kTerminated:
      return absl::StrCat("it was terminated with ",
                          info.output.value_or("no output"));
    default:
      return absl::StrCat("it waits for ", WaitsFor(info.id),
                          NextDue().has_value()
                              ? ""
                              : ", and nothing is due that could bring that");
  }
}

void TestWorld::Fail(const std::string& id, const std::string& wanted) {
  const OrchestrationInfo info = Get(id);
  Fail(absl::StrCat(NameOf(info), " was expected to ", wanted, ", but ",
                    Outcome(info), "\nits history:\n  ",
                    absl::StrJoin(HistoryLines(id), "\n  ")));
}

void TestWorld::Fail(const std::string& what) {
  throw TestError(absl::StrCat(what, "\n(seed ", options_.seed, ", ",
                               absl::FormatDuration(Now() - clock_.start()),
                               " after the beginning)"));
}

}  // namespace leasehold::testkit
