#include "service/doors/admin_messages.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "service/doors/instance_messages.h"
#include "service/doors/message_values.h"

namespace leasehold {
namespace {

using leasehold::ToMessage;  // Of times, beside those below.

// By WorkKind.
constexpr std::array<const char*, kWorkKinds> kKindNames = {
    "orchestrator", "activity", "entity"};

int64_t Count(size_t count) { return static_cast<int64_t>(count); }

v1::Metric::Kind KindOf(StatKind kind) {
  switch (kind) {
    case StatKind::kCounter:
      return v1::Metric::COUNTER;
    case StatKind::kGauge:
      return v1::Metric::GAUGE;
    case StatKind::kHistogram:
      return v1::Metric::HISTOGRAM;
  }
  return v1::Metric::KIND_UNSPECIFIED;
}

void ToMessage(const StatFamily& family, v1::Metric& message) {
  message.set_name(family.name);
  message.set_help(family.help);
  message.set_kind(KindOf(family.kind));
  message.mutable_upper_bounds()->Assign(family.bounds.begin(),
                                         family.bounds.end());
  for (const StatSample& sample : family.samples) {
    v1::Metric::Sample& made = *message.add_samples();
    for (const auto& [name, value] : sample.labels) {
      (*made.mutable_labels())[name] = value;
    }
    made.set_value(sample.value);
    made.mutable_bucket_counts()->Assign(sample.counts.begin(),
                                         sample.counts.end());
  }
}

void ToMessage(const ConnectedWorker& worker, const AddressOf& address_of,
               v1::Worker& message) {
  const WorkerStatus& status = worker.status;
  message.set_worker_id(status.id);
  message.set_address(address_of(status.peer));
  message.set_identity(status.identity);
  message.set_sdk(status.sdk);
  message.set_user_agent(status.user_agent);
  message.set_built_in(status.last_resort);
  for (size_t i = 0; i < kWorkKinds; ++i) {
    const WorkerStatus::Kind& kind = status.kinds[i];
    v1::Worker::Work& work = *message.add_work();
    work.set_kind(kKindNames[i]);
    work.set_all(kind.all);
    for (const WorkFilter& filter : kind.takes) {
      v1::Worker::Name& name = *work.add_names();
      name.set_name(filter.name);
      for (const std::string& version : filter.versions) {
        name.add_versions(version);
      }
    }
    work.set_name_count(Count(kind.names));
    work.set_slots_used(Count(kind.used));
    work.set_slots(Count(kind.slots));
  }
  ToMessage(worker.connected, *message.mutable_connect_time());
  ToMessage(worker.last_seen, *message.mutable_last_seen_time());
  message.set_silent(status.silent);
  message.set_unknown_name_count(Count(status.disowned));
  message.set_unread_bytes(Count(status.untaken));
}

}  // namespace

// ---- Explanations -----------------------------------------------------------

namespace {

using Kind = Cause::Kind;

constexpr bool Same(Kind kind, v1::Cause::Kind message) {
  return static_cast<int>(kind) == static_cast<int>(message);
}
// The numbers are those of the contract.
static_assert(Same(Kind::kHeld, v1::Cause::HELD));
static_assert(Same(Kind::kCalls, v1::Cause::CALLS));
static_assert(Same(Kind::kWorkHeld, v1::Cause::WORK_HELD));
static_assert(Same(Kind::kOpening, v1::Cause::OPENING));
static_assert(Same(Kind::kClosing, v1::Cause::CLOSING));
static_assert(Same(Kind::kLease, v1::Cause::LEASE));
static_assert(Same(Kind::kProvider, v1::Cause::PROVIDER));
static_assert(Same(Kind::kNoWorker, v1::Cause::NO_WORKER));
static_assert(Same(Kind::kNotTaken, v1::Cause::NOT_TAKEN));
static_assert(Same(Kind::kNotRegistered, v1::Cause::NOT_REGISTERED));
static_assert(Same(Kind::kSilent, v1::Cause::SILENT));
static_assert(Same(Kind::kNoSlot, v1::Cause::NO_SLOT));
static_assert(Same(Kind::kUnread, v1::Cause::UNREAD));
static_assert(Same(Kind::kSuspect, v1::Cause::SUSPECT));
static_assert(Same(Kind::kReady, v1::Cause::READY));
static_assert(Same(Kind::kLoading, v1::Cause::LOADING));
static_assert(Same(Kind::kWithWorker, v1::Cause::WITH_WORKER));
static_assert(Same(Kind::kDelayed, v1::Cause::DELAYED));
static_assert(Same(Kind::kSetAside, v1::Cause::SET_ASIDE));
static_assert(Same(Kind::kStoreFailed, v1::Cause::STORE_FAILED));
static_assert(Same(Kind::kStoring, v1::Cause::STORING));
static_assert(Same(Kind::kScheduled, v1::Cause::SCHEDULED));
static_assert(Same(Kind::kSuspended, v1::Cause::SUSPENDED));
static_assert(Same(Kind::kRetry, v1::Cause::RETRY));
static_assert(Same(Kind::kTimer, v1::Cause::TIMER));
static_assert(Same(Kind::kEvent, v1::Cause::EVENT));
static_assert(Same(Kind::kChild, v1::Cause::CHILD));
static_assert(Same(Kind::kEntityCall, v1::Cause::ENTITY_CALL));
static_assert(Same(Kind::kEntityLock, v1::Cause::ENTITY_LOCK));
static_assert(Same(Kind::kEnded, v1::Cause::ENDED));
static_assert(Same(Kind::kOpenLimit, v1::Cause::OPEN_LIMIT));
static_assert(Same(Kind::kLocked, v1::Cause::LOCKED));
static_assert(Same(Kind::kMessages, v1::Cause::MESSAGES));
static_assert(Same(Kind::kLater, v1::Cause::LATER));
static_assert(Same(Kind::kNothing, v1::Cause::NOTHING));
static_assert(Same(Kind::kStoredLimit, v1::Cause::STORED_LIMIT));

int32_t Number(uint64_t count) {
  return static_cast<int32_t>(std::min<uint64_t>(count, INT32_MAX));
}

bool IsOfWork(Kind kind) {
  return kind >= Kind::kNoWorker && kind <= Kind::kDelayed;
}

void ToMessage(const Dispatcher::Outlook& outlook, v1::Outlook& message) {
  message.set_workers(Number(outlook.reach.workers));
  message.set_takes(Number(outlook.reach.takes));
  message.set_unknown(Number(outlook.reach.disowns));
  message.set_takers(Number(outlook.takers));
  message.set_slots_used(Number(outlook.used));
  message.set_slots(Number(outlook.slots));
  message.set_silent(Number(outlook.silent));
  message.set_full(Number(outlook.full));
  message.set_unread(Number(outlook.unread));
}

void ToMessage(const Cause& cause, v1::Cause& message) {
  message.set_kind(static_cast<v1::Cause::Kind>(cause.kind));
  message.set_text(TextOf(cause));
  if (cause.kind == Kind::kHeld) {
    message.set_pin(std::string(PinKindName(cause.pin)));
  }
  const PinHolder& who = cause.who;
  if (!who.peer.empty() || !who.identity.empty() || !who.method.empty()) {
    message.mutable_holder()->set_address(who.peer);
    message.mutable_holder()->set_identity(who.identity);
    message.mutable_holder()->set_method(who.method);
  }
  if (IsOfWork(cause.kind)) {
    message.set_work(kKindNames[static_cast<size_t>(cause.work)]);
  }
  message.set_name(cause.name);
  message.set_version(cause.version);
  message.set_attempt(cause.attempt);
  message.set_failure(cause.failure);
  message.set_worker_id(cause.worker);
  message.set_silent(cause.silent);
  if (cause.outlook.has_value()) {
    ToMessage(*cause.outlook, *message.mutable_outlook());
  }
  message.set_instance_id(cause.instance_id);
  message.set_orchestration_id(cause.holder);
  message.mutable_names()->Add(cause.names.begin(), cause.names.end());
  message.set_status(cause.status);
  message.set_reason(cause.reason);
  if (cause.kind == Kind::kStoredLimit) {
    message.set_bytes(cause.count);
    message.set_bytes_max(cause.limit);
  } else {
    message.set_count(Number(cause.count));
    message.set_limit(Number(cause.limit));
  }
  if (cause.age.has_value()) ToMessage(*cause.age, *message.mutable_age());
  if (cause.at.has_value()) ToMessage(*cause.at, *message.mutable_time());
  if (cause.until.has_value()) {
    ToMessage(*cause.until, *message.mutable_end_time());
  }
}

v1::Explanation::Subject ToMessage(Explanation::Subject subject) {
  switch (subject) {
    case Explanation::Subject::kContext:
      return v1::Explanation::CONTEXT;
    case Explanation::Subject::kOrchestration:
      return v1::Explanation::ORCHESTRATION;
    case Explanation::Subject::kEntity:
      return v1::Explanation::ENTITY;
  }
  return v1::Explanation::SUBJECT_UNSPECIFIED;
}

}  // namespace

void ToMessage(Explanation explanation, const AddressOf& address_of,
               v1::Explanation& message) {
  explanation.ForEachPeer(
      [&address_of](std::string& peer) { peer = address_of(peer); });
  message.set_instance_id(explanation.key.id);
  message.set_sentence(SentenceOf(explanation));
  message.set_subject(ToMessage(explanation.subject));
  message.set_name(explanation.name);
  message.set_status(explanation.status);
  message.set_generation(explanation.generation);
  for (const Cause& cause : explanation.causes) {
    ToMessage(cause, *message.add_causes());
  }
  message.set_more_causes(Number(explanation.more));
}

// ---- Stats ------------------------------------------------------------------

void ToMessage(const std::vector<StatFamily>& families,
               const v1::StatsRequest& request, v1::StatsResponse& message) {
  const auto is_wanted = [&request](const std::string& name) {
    return request.name_prefixes().empty() ||
           std::any_of(request.name_prefixes().begin(),
                       request.name_prefixes().end(),
                       [&name](const std::string& prefix) {
                         return name.starts_with(prefix);
                       });
  };
  for (const StatFamily& family : families) {
    if (family.samples.empty() || !is_wanted(family.name)) continue;
    ToMessage(family, *message.add_metrics());
  }
}

// ---- Workers ----------------------------------------------------------------

absl::StatusOr<WorkersQuery> FromMessage(const v1::WorkersRequest& message,
                                         const Caller& caller) {
  const absl::StatusOr<size_t> page_size = PageSizeFrom(message.page_size());
  if (!page_size.ok()) return page_size.status();
  return WorkersQuery{.tenant = caller.tenant,
                      .page_token = {.text = message.page_token()},
                      .count_max = *page_size};
}

void ToMessage(const WorkersPage& page, const AddressOf& address_of,
               v1::WorkersResponse& message) {
  for (const ConnectedWorker& worker : page.workers) {
    ToMessage(worker, address_of, *message.add_workers());
  }
  message.set_next_page_token(page.next_page_token);
}

}  // namespace leasehold
