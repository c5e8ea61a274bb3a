#include "service/orchestration/outside_calls.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/base/hash.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

// How long a caller waits who has set no deadline of its own.
constexpr absl::Duration kWaitMax = absl::Minutes(10);

// Tells whether two calls of one name are the same.
uint64_t FingerprintOf(std::string_view id, std::string_view operation,
                       const Payload& input) {
  const std::string_view separator("\0", 1);
  uint64_t hash = HashBytes(id);
  hash = HashBytes(separator, hash);
  hash = HashBytes(operation, hash);
  hash = HashBytes(separator, hash);
  return input.has_value() ? HashBytes(*input, hash) : MixBits(hash);
}

// As the store keeps it.
struct StoredOutcome {
  Payload output;
  OpaqueMessage failure;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.output);
    field(2, self.failure);
  }
};

absl::Status IsAnother(const EntityCall& call) {
  return absl::InvalidArgumentError(
      absl::StrCat("request_id ", QuoteForMessage(call.request_id),
                   " was used for another call; a request that is sent again "
                   "has the same entity, operation and input"));
}

absl::StatusOr<OperationResult> OutcomeIn(const CallRow& row) {
  auto stored = DecodeMessage<StoredOutcome>(row.outcome);
  if (row.damaged || !stored.has_value()) {
    return absl::DataLossError(absl::StrCat("what came of request ",
                                            QuoteForMessage(row.request),
                                            " cannot be read"));
  }
  return OperationResult{std::move(stored->output), std::move(stored->failure)};
}

}  // namespace

// ---- Callers ----------------------------------------------------------------

OutsideCalls::WaitId OutsideCalls::Call(EntityCall call,
                                        Done<OperationResult> done) {
  absl::Status status = CheckEntityId("instance_id", call.key.id);
  status.Update(CheckName("operation", call.operation));
  status.Update(
      CheckSize("request_id", call.request_id.size(), kRequestIdBytesMax));
  status.Update(
      CheckPayload(call.input, "the input has", engine_.options_.limits));
  const uint64_t fingerprint =
      FingerprintOf(call.key.id, call.operation, call.input);

  Engine::Section section(engine_);
  const WaitId id = ++last_id_;
  status.Update(engine_.admission_.accepting());
  if (!status.ok()) {
    engine_.RefuseLocked(done, status);
    return id;
  }
  const bool kept = !call.request_id.empty();
  if (!kept) call.request_id = NewInstanceId();
  const std::string name =
      Directory::NameOf({call.key.tenant, call.request_id});
  if (!kept) {
    AddWaiterLocked(name, id, call, std::move(done));
    SendLocked(name, std::move(call));
    return id;
  }
  call.kept = true;
  const auto waiting = waiting_.find(name);
  const auto lookup = lookups_.find(name);
  const bool joins = waiting != waiting_.end() || lookup != lookups_.end();
  const uint64_t first = waiting != waiting_.end()  ? waiting->second
                         : lookup != lookups_.end() ? lookup->second.fingerprint
                                                    : fingerprint;
  if (first != fingerprint) {
    engine_.RefuseLocked(done, IsAnother(call));
    return id;
  }
  AddWaiterLocked(name, id, call, std::move(done));
  if (!joins) LookUpLocked(name, fingerprint, std::move(call));
  return id;
}

void OutsideCalls::AddWaiterLocked(const std::string& name, WaitId id,
                                   EntityCall& call,
                                   Done<OperationResult> done) {
  engine_.mu_.AssertHeld();
  by_id_[id] = {
      name,
      engine_.schedule_.MonotonicNow() + absl::ToInt64Microseconds(kWaitMax),
      call.key};
  SetTimerLocked();
  const std::optional<Waiter> oldest =
      waits_.Add(name, {id, std::move(call.peer), std::move(done)});
  if (!oldest.has_value()) return;
  by_id_.erase(oldest->id);
  engine_.RefuseLocked(
      oldest->done,
      absl::ResourceExhaustedError(absl::StrCat(
          "this connection has begun ", engine_.options_.waits_max,
          " other calls since: that is the limit, and its oldest waits no "
          "longer. Its operation runs all the same")));
}

bool OutsideCalls::Cancel(WaitId id) {
  Engine::Section section(engine_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return false;
  const std::string name = std::move(found->second.name);
  by_id_.erase(found);
  return !waits_.TakeIf(name, [id](const Waiter& one) { return one.id == id; })
              .empty();
}

void OutsideCalls::LookUpLocked(const std::string& name, uint64_t fingerprint,
                                EntityCall call) {
  engine_.mu_.AssertHeld();
  const uint64_t ticket = ++last_ticket_;
  lookups_[name] = {ticket, fingerprint};
  engine_.readers_.Post([this, name, ticket, call = std::move(call)]() mutable {
    const auto row = engine_.store_.FindCall(call.key.tenant, call.request_id);
    LookedUp(name, ticket, std::move(call), row);
  });
}

void OutsideCalls::LookedUp(const std::string& name, uint64_t ticket,
                            EntityCall call,
                            const absl::StatusOr<std::optional<CallRow>>& row) {
  Engine::Section section(engine_);
  const auto lookup = lookups_.find(name);
  // Memory was discarded meanwhile, and those who waited know it.
  if (lookup == lookups_.end() || lookup->second.ticket != ticket) return;
  const uint64_t fingerprint = lookup->second.fingerprint;
  lookups_.erase(lookup);
  if (!row.ok()) return TellLocked(name, row.status());
  if (row->has_value() &&
      !kept_.IsTooOld((*row)->ended, engine_.schedule_.Now().wall)) {
    const bool same = static_cast<uint64_t>((*row)->fingerprint) == fingerprint;
    return TellLocked(
        name, same || (*row)->damaged ? OutcomeIn(**row) : IsAnother(call));
  }
  // Nothing was done yet for those who have gone.
  if (!waits_.Contains(name)) return;
  waiting_[name] = fingerprint;
  SendLocked(name, std::move(call));
}

void OutsideCalls::SendLocked(const std::string& name, EntityCall call) {
  engine_.mu_.AssertHeld();
  absl::Status status = engine_.batches_.CheckRoomLocked(call.key, call.input);
  PendingCommit commit;
  if (status.ok()) {
    status = engine_.storage_room_.Take(call.key.tenant, call.input, commit);
  }
  if (!status.ok()) {
    waiting_.erase(name);
    return TellLocked(name, status);
  }
  commit.done = [this, name](const absl::Status& status) {
    if (status.ok()) return;
    Engine::Section section(engine_);
    TellLocked(name, status);
  };
  EntityOperationCalled called{
      .request_id = call.kept ? NewInstanceId() : call.request_id,
      .operation = std::move(call.operation),
      .input = std::move(call.input),
      // Workers of some languages need one.
      .caller = "",
      .caller_execution = call.kept ? std::move(call.request_id) : "",
      .target = call.key.id};
  engine_.batches_.ReceiveLocked(
      call.key,
      {HistoryEvent::kFromOutside, engine_.NowLocked(), std::move(called)},
      commit);
  engine_.commits_.Submit(std::move(commit));
}

// ---- Ends -------------------------------------------------------------------

void OutsideCalls::EndLocked(const Entity& entity, std::vector<EndedCall> ended,
                             PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  for (EndedCall& call : ended) {
    const std::string& tenant = entity.key.tenant;
    const std::string name = Directory::NameOf({tenant, call.request_id});
    if (call.kept) {
      const auto waiting = waiting_.find(name);
      CallRow row{.tenant = tenant,
                  .request = call.request_id,
                  .ended = engine_.schedule_.Now().wall,
                  .fingerprint = static_cast<int64_t>(
                      waiting == waiting_.end() ? 0 : waiting->second),
                  .id = entity.key.id,
                  .outcome = EncodeMessage(
                      StoredOutcome{call.result.output, call.result.failure})};
      for (CallMark& old :
           kept_.Add({tenant, row.request, row.ended, row.outcome.size()})) {
        commit.changes.push_back(
            DropCall{std::move(old.tenant), std::move(old.request)});
      }
      commit.changes.push_back(PutCall{std::move(row)});
    }
    commit.apply.push_back([this, name, outcome = std::move(call.result)] {
      engine_.mu_.AssertHeld();
      waiting_.erase(name);
      TellLocked(name, outcome);
    });
  }
}

void OutsideCalls::FailLocked(const Entity& entity,
                              const absl::Status& status) {
  engine_.mu_.AssertHeld();
  std::vector<std::string> names;
  for (const auto& [id, wait] : by_id_) {
    if (wait.key == entity.key) names.push_back(wait.name);
  }
  for (const std::string& name : names) TellLocked(name, status);
}

std::vector<OutsideCalls::Waiter> OutsideCalls::TakeLocked(
    const std::string& name) {
  engine_.mu_.AssertHeld();
  std::vector<Waiter> waiters =
      waits_.TakeIf(name, [](const Waiter&) { return true; });
  for (const Waiter& waiter : waiters) by_id_.erase(waiter.id);
  return waiters;
}

void OutsideCalls::TellLocked(const std::string& name,
                              const absl::StatusOr<OperationResult>& outcome) {
  engine_.mu_.AssertHeld();
  std::vector<Waiter> waiters = TakeLocked(name);
  if (waiters.empty()) return;
  engine_.effects_.calls.push_back([waiters = std::move(waiters), outcome] {
    for (const Waiter& waiter : waiters) waiter.done(outcome);
  });
}

// ---- Waits that take too long -----------------------------------------------

void OutsideCalls::SetTimerLocked() {
  engine_.mu_.AssertHeld();
  if (timer_set_ || by_id_.empty()) return;
  timer_set_ = true;
  engine_.schedule_.AddRetry(
      absl::Microseconds(by_id_.begin()->second.due -
                         engine_.schedule_.MonotonicNow()),
      /*number=*/0, Timers::Kind::kCallWaits, /*id=*/0);
}

std::string OutsideCalls::WhyWaitingLocked(const InstanceKey& key) {
  engine_.mu_.AssertHeld();
  const EntityPtr entity = engine_.batches_.FindLocked(key);
  if (entity == nullptr) return "";
  const std::string why = engine_.batches_.WaitingForLocked(*entity);
  return why.empty() ? "" : absl::StrCat(" (", why, ")");
}

void OutsideCalls::FireLocked() {
  engine_.mu_.AssertHeld();
  timer_set_ = false;
  const StoredTime now = engine_.schedule_.MonotonicNow();
  while (!by_id_.empty() && by_id_.begin()->second.due <= now) {
    const auto [id, wait] = *by_id_.begin();
    by_id_.erase(by_id_.begin());
    const absl::Status status = absl::DeadlineExceededError(absl::StrCat(
        "entity ", QuoteForMessage(wait.key.id), " has not answered for ",
        absl::FormatDuration(kWaitMax), WhyWaitingLocked(wait.key),
        "; the operation still runs, and a call with the same request_id gets "
        "what comes of it"));
    for (Waiter& waiter :
         waits_.TakeIf(wait.name,
                       [id = id](const Waiter& one) { return one.id == id; })) {
      engine_.RefuseLocked(waiter.done, status);
    }
  }
  SetTimerLocked();
}

// ---- Memory from the store, and back ----------------------------------------

void OutsideCalls::LoadLocked(CallMark mark) {
  engine_.mu_.AssertHeld();
  kept_.Add(std::move(mark));
}

void OutsideCalls::LoadLocked(const InstanceKey& key,
                              const EntityMessage& message) {
  engine_.mu_.AssertHeld();
  if (!message.IsFromOutside() || message.caller_execution.empty()) return;
  const std::optional<HistoryEvent> event = DecodeEvent(message.event);
  if (!event.has_value()) return;
  waiting_[Directory::NameOf({key.tenant, message.caller_execution})] =
      FingerprintOf(key.id, message.operation,
                    std::get<EntityOperationCalled>(event->body).input);
}

void OutsideCalls::EndWaitsLocked(const absl::Status& status) {
  engine_.mu_.AssertHeld();
  by_id_.clear();
  for (Waiter& waiter : waits_.TakeAll()) {
    engine_.RefuseLocked(waiter.done, status);
  }
}

void OutsideCalls::ForgetAllLocked() {
  engine_.mu_.AssertHeld();
  EndWaitsLocked(absl::UnavailableError(
      "the server reads its store again, and nobody can wait meanwhile. The "
      "operation may run all the same: call again with the same request_id"));
  lookups_.clear();
  waiting_.clear();
  kept_.Clear();
  timer_set_ = false;
}

std::vector<Done<OperationResult>> OutsideCalls::ForgetTenantLocked(
    const std::string& tenant) {
  engine_.mu_.AssertHeld();
  const auto is_its = [&tenant](const std::string& name) {
    return Directory::IsOf(name, tenant);
  };
  std::vector<Done<OperationResult>> waiting;
  for (Waiter& waiter : waits_.TakeForKeys(is_its)) {
    by_id_.erase(waiter.id);
    waiting.push_back(std::move(waiter.done));
  }
  absl::erase_if(lookups_, [&](const auto& one) { return is_its(one.first); });
  absl::erase_if(waiting_, [&](const auto& one) { return is_its(one.first); });
  kept_.Forget(tenant);
  return waiting;
}

}  // namespace leasehold
