#include "service/orchestration/wait_list.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

WaitList::WaitId WaitList::Wait(WaitRequest request, Done<SharedInfo> done) {
  Engine::Section section(engine_);
  const WaitId id = ++last_wait_;
  if (absl::Status status = engine_.admission_.accepting(); !status.ok()) {
    engine_.RefuseLocked(done, status);
    return id;
  }
  const std::string name = Directory::NameOf(request.key);
  if (!IsAheadLocked(name, request.until, request.seen)) {
    TellStoredLocked(request, std::move(done));
    return id;
  }
  std::optional<Waiter> oldest =
      waits_.Add(name, {std::move(request), id, std::move(done)});
  if (oldest.has_value()) {
    engine_.RefuseLocked(
        oldest->done,
        absl::ResourceExhaustedError(absl::StrCat(
            "this connection has begun ", engine_.options_.waits_max,
            " other waits since: that is the limit, and its oldest wait ends. "
            "Cancel "
            "waits that are no longer needed")));
  }
  return id;
}

void WaitList::TellStoredLocked(const WaitRequest& request,
                                Done<SharedInfo> done) {
  engine_.mu_.AssertHeld();
  if (!engine_.lookups_.IsHeld(request.key.tenant)) {
    return engine_.reads_.PostReadLocked(request.key, request.payloads,
                                         std::move(done));
  }
  // What is about to be erased is still in the store, as if it were open.
  engine_.AfterCommitsLocked([this, key = request.key,
                              payloads = request.payloads,
                              done = std::move(done)](const absl::Status& s) {
    if (!s.ok()) return done(s);
    Engine::Section section(engine_);
    engine_.reads_.PostReadLocked(key, payloads, done);
  });
}

bool WaitList::CancelWait(const InstanceKey& key, WaitId id) {
  Engine::Section section(engine_);
  return !waits_
              .TakeIf(Directory::NameOf(key),
                      [id](const Waiter& waiter) { return waiter.id == id; })
              .empty();
}

bool WaitList::IsAheadLocked(const std::string& name, Until until,
                             uint64_t seen) {
  engine_.mu_.AssertHeld();
  const OrchestrationPtr present = engine_.directory_.FindByName(name);
  if (present == nullptr || present->damage != nullptr) return false;
  switch (until) {
    case Until::kStarted:
      return present->status == OrchestrationStatus::kPending;
    case Until::kFinished:
      return true;
    case Until::kChanged:
      return present->revision == seen;
  }
  return false;
}

void WaitList::TellLocked(Orchestration& orchestration, const HotState& hot,
                          const Payload& input) {
  engine_.mu_.AssertHeld();
  orchestration.revision = ++engine_.last_revision_;
  if (!IsAwaitedLocked(orchestration.key)) return;
  OrchestrationInfo info;
  info.id = orchestration.key.id;
  info.status = hot.state.status;
  info.created = hot.created;
  if (IsFinished(info.status)) info.finished = ToTime(hot.summary.updated);
  info.summary = hot.summary;
  info.has_payloads = true;
  info.input = input;
  info.output = hot.state.output;
  info.failure = hot.state.failure;
  WakeLocked(orchestration, std::move(info));
}

void WaitList::WakeLocked(const Orchestration& orchestration,
                          OrchestrationInfo info) {
  engine_.mu_.AssertHeld();
  const bool finished = IsFinished(info.status);
  std::vector<Waiter> woken = waits_.TakeIf(
      Directory::NameOf(orchestration.key), [finished](const Waiter& waiter) {
        return waiter.until != Until::kFinished || finished;
      });
  if (woken.empty()) return;
  info.revision = orchestration.revision;
  // One copy for all: payloads may be large.
  const auto told_briefly = std::make_shared<const OrchestrationInfo>(
      OrchestrationInfo{.id = info.id,
                        .status = info.status,
                        .created = info.created,
                        .finished = info.finished,
                        .summary = info.summary,
                        .revision = info.revision});
  const auto told = std::make_shared<const OrchestrationInfo>(std::move(info));
  for (Waiter& waiter : woken) {
    engine_.effects_.calls.push_back(
        [done = std::move(waiter.done),
         told = waiter.payloads ? told : told_briefly] { done(told); });
  }
}

void WaitList::ReviewLocked(const std::string& name) {
  engine_.mu_.AssertHeld();
  std::vector<Waiter> over = waits_.TakeIf(name, [&](const Waiter& waiter) {
    engine_.mu_.AssertHeld();
    return !IsAheadLocked(name, waiter.until, waiter.seen);
  });
  for (Waiter& waiter : over) {
    engine_.reads_.PostReadLocked(waiter.key, waiter.payloads,
                                  std::move(waiter.done));
  }
}

void WaitList::ReviewWaitersLocked() {
  engine_.mu_.AssertHeld();
  for (const std::string& key : waits_.Keys()) ReviewLocked(key);
}

void WaitList::ReviewWaitersLocked(const InstanceKey& key) {
  engine_.mu_.AssertHeld();
  ReviewLocked(Directory::NameOf(key));
}

std::vector<WaitList::Waiter> WaitList::TakeForTenantLocked(
    const std::string& tenant) {
  engine_.mu_.AssertHeld();
  return waits_.TakeForKeys([&tenant](const std::string& name) {
    return Directory::IsOf(name, tenant);
  });
}

void WaitList::EndWaitsLocked(const absl::Status& status) {
  engine_.mu_.AssertHeld();
  for (Waiter& waiter : waits_.TakeAll()) {
    engine_.effects_.calls.push_back(
        [done = std::move(waiter.done), status] { done(status); });
  }
}

}  // namespace leasehold
