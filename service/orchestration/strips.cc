#include "service/orchestration/strips.h"

#include <algorithm>

namespace leasehold {
namespace {

// Of a record beside what it lists: itself, its place in the list, and in the
// table of names.
constexpr size_t kRecordBytes = 384;

std::string Cut(std::string_view text) {
  return std::string(text.substr(0, Strips::kTextMax));
}

// Vectors have room to grow, up to as much again.
template <typename Entry>
size_t BytesWith(size_t texts) {
  return 2 * sizeof(Entry) + texts;
}

// Whether a start that is answered so has begun nothing.
bool IsRefusal(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

Strip::Result ResultOf(const absl::StatusOr<StartReceipt>& receipt) {
  using enum Strip::Result;
  if (!receipt.ok()) {
    return IsRefusal(receipt.status().code()) ? kRefused : kFailed;
  }
  if (!receipt->context.has_value()) return kRepeated;
  return receipt->created ? kStarted : kAttached;
}

}  // namespace

Strips::Strips(const Clock& clock, size_t bytes_max)
    : clock_(clock),
      bytes_max_(bytes_max),
      recording_since_(clock.Now()),
      since_(recording_since_) {}

size_t Strips::BytesOf(const ContextEntry&) {
  return BytesWith<ContextEntry>(0);
}

size_t Strips::BytesOf(const RunEntry& entry) {
  return BytesWith<RunEntry>(entry.execution_id.size() +
                             entry.parent_id.size());
}

size_t Strips::BytesOf(const StartEntry& entry) {
  return BytesWith<StartEntry>(entry.execution_id.size() +
                               entry.by.identity.size() + entry.by.peer.size());
}

// ---- Records ----------------------------------------------------------------

Strips::Record* Strips::FindLocked(std::string_view tenant,
                                   std::string_view id) const {
  const auto found = by_name_.find(Name(tenant, id));
  return found == by_name_.end() ? nullptr : found->second;
}

void Strips::TouchLocked(Record& record, bool run) {
  Half& from = HalfOfLocked(record);
  from.bytes -= record.bytes;
  record.had_runs |= run;
  Half& to = HalfOfLocked(record);
  to.bytes += record.bytes;
  to.records.splice(to.records.begin(), from.records, record.self);
  record.version = ++versions_;
}

Strips::Record& Strips::TouchLocked(std::string_view tenant,
                                    std::string_view id, bool run) {
  if (Record* const found = FindLocked(tenant, id)) {
    TouchLocked(*found, run);
    return *found;
  }
  Records& records = run ? with_runs_.records : without_runs_.records;
  records.push_front({.key = {std::string(tenant), std::string(id)},
                      .had_runs = run,
                      .since = since_,
                      .version = ++versions_});
  Record& record = records.front();
  record.self = records.begin();
  by_name_.emplace(Name(record.key.tenant, record.key.id), &record);
  CountLocked(record);
  return record;
}

void Strips::CountLocked(Record& record) {
  size_t& bytes = HalfOfLocked(record).bytes;
  bytes -= record.bytes;
  record.bytes = kRecordBytes + record.key.tenant.size() + record.key.id.size();
  for (const ContextEntry& entry : record.contexts) {
    record.bytes += BytesOf(entry);
  }
  for (const RunEntry& entry : record.runs) record.bytes += BytesOf(entry);
  for (const StartEntry& entry : record.starts) record.bytes += BytesOf(entry);
  bytes += record.bytes;
}

template <typename Entry>
void Strips::AddLocked(Record& record, std::vector<Entry>& list,
                       uint64_t& before, Entry entry) {
  size_t bytes = record.bytes + BytesOf(entry);
  list.push_back(std::move(entry));
  if (list.size() > kOfIdMax) {
    bytes -= BytesOf(list.front());
    list.erase(list.begin());
    ++before;
  }
  HalfOfLocked(record).bytes += bytes - record.bytes;
  record.bytes = bytes;
  MakeRoomLocked(record);
}

void Strips::MakeRoomLocked(const Record& touched) {
  while (with_runs_.bytes + without_runs_.bytes > bytes_max_) {
    const bool runs = with_runs_.bytes > without_runs_.bytes;
    Record& oldest = (runs ? with_runs_ : without_runs_).records.back();
    if (&oldest == &touched) return;  // It alone is larger than all others.
    DropLocked(oldest);
  }
}

void Strips::DropLocked(Record& record) {
  Half& half = HalfOfLocked(record);
  by_name_.erase(Name(record.key.tenant, record.key.id));
  half.bytes -= record.bytes;
  half.records.erase(record.self);
  since_ = clock_.Now();
}

// ---- What happens -----------------------------------------------------------

void Strips::OnEvent(const InstanceEvent& event) {
  if (event.kind == InstanceEventKind::kCreated) {
    MutexLock lock(mu_);
    Record& record = TouchLocked(event.tenant, event.instance_id, false);
    AddLocked(record, record.contexts, record.contexts_before,
              {.generation = event.generation, .opened = clock_.Now()});
  } else if (event.kind == InstanceEventKind::kClosed) {
    MutexLock lock(mu_);
    CloseLocked(event);
  }
}

void Strips::CloseLocked(const InstanceEvent& event) {
  Record* const record = FindLocked(event.tenant, event.instance_id);
  if (record == nullptr) {
    since_ = clock_.Now();  // It was open, and nothing is known of that.
    return;
  }
  const auto entry =
      std::find_if(record->contexts.rbegin(), record->contexts.rend(),
                   [&event](const ContextEntry& one) {
                     return one.generation == event.generation;
                   });
  if (entry == record->contexts.rend()) {
    record->since = clock_.Now();
    return;
  }
  TouchLocked(*record, false);
  entry->closed = clock_.Now();
  entry->reason = event.reason;
  if (!entry->forgotten) return;
  record->contexts.erase(std::next(entry).base());
  CountLocked(*record);
  if (record->contexts.empty() && record->runs.empty() &&
      record->starts.empty()) {
    DropLocked(*record);
  }
}

void Strips::Begin(const InstanceKey& key, std::string execution_id,
                   std::string parent_id, Instant at) {
  MutexLock lock(mu_);
  Record& record = TouchLocked(key.tenant, key.id, true);
  AddLocked(record, record.runs, record.runs_before,
            {.execution_id = Cut(execution_id),
             .began = at,
             .parent_id = std::move(parent_id)});
}

void Strips::End(const InstanceKey& key, std::string_view execution_id,
                 OrchestrationStatus status, Instant at) {
  const std::string id = Cut(execution_id);
  MutexLock lock(mu_);
  Record& record = TouchLocked(key.tenant, key.id, true);
  const auto run = std::find_if(
      record.runs.rbegin(), record.runs.rend(), [&id](const RunEntry& one) {
        return one.execution_id == id && !one.ended.has_value();
      });
  if (run != record.runs.rend()) {
    run->ended = at;
    run->status = status;
    return;
  }
  AddLocked(record, record.runs, record.runs_before,
            {.execution_id = id, .began = {}, .ended = at, .status = status});
}

void Strips::Rename(const InstanceKey& key, std::string execution_id) {
  MutexLock lock(mu_);
  Record* const record = FindLocked(key.tenant, key.id);
  if (record == nullptr || record->runs.empty() ||
      record->runs.back().ended.has_value()) {
    return;
  }
  TouchLocked(*record, true);
  record->runs.back().execution_id = Cut(execution_id);
  CountLocked(*record);
}

void Strips::Answer(const InstanceKey& key, const Requester& by,
                    const absl::StatusOr<StartReceipt>& receipt) {
  if (absl::IsNotFound(receipt.status())) return;  // Nothing has this ID.
  StartEntry entry{
      .result = ResultOf(receipt),
      .at = {},
      .by = {.identity = Cut(by.identity),
             .peer = Cut(address_of_ ? address_of_(by.peer) : by.peer)},
      .execution_id = receipt.ok() ? Cut(receipt->execution_id) : "",
      .code = receipt.status().code()};
  MutexLock lock(mu_);
  entry.at = clock_.Now();
  Record& record = TouchLocked(key.tenant, key.id, true);
  AddLocked(record, record.starts, record.starts_before, std::move(entry));
}

// ---- Forgetting -------------------------------------------------------------

void Strips::ForgetLocked(Record& record) {
  record.runs.clear();
  record.starts.clear();
  record.contexts_before = record.runs_before = record.starts_before = 0;
  std::erase_if(record.contexts, [](const ContextEntry& context) {
    return context.closed.has_value();
  });
  for (ContextEntry& context : record.contexts) context.forgotten = true;
  if (record.contexts.empty()) return DropLocked(record);
  record.since = clock_.Now();
  record.version = ++versions_;
  CountLocked(record);
}

void Strips::ForgetTenantLocked(Half& half, std::string_view tenant) {
  for (auto record = half.records.begin(); record != half.records.end();) {
    Record& one = *record++;
    if (one.key.tenant == tenant) ForgetLocked(one);
  }
}

void Strips::Forget(const InstanceKey& key) {
  MutexLock lock(mu_);
  Record* const record = FindLocked(key.tenant, key.id);
  if (record != nullptr) ForgetLocked(*record);
}

void Strips::ForgetTenant(std::string_view tenant) {
  MutexLock lock(mu_);
  ForgetTenantLocked(with_runs_, tenant);
  ForgetTenantLocked(without_runs_, tenant);
}

// ---- Reading ----------------------------------------------------------------

Strip Strips::Read(const InstanceKey& key) const {
  MutexLock lock(mu_);
  const absl::Time wall = clock_.WallNow();
  const Instant now = clock_.Now();
  const auto time_of = [wall, now](Instant at) { return wall - (now - at); };
  const auto maybe = [&time_of](const std::optional<Instant>& at) {
    return at.has_value() ? std::optional<absl::Time>(time_of(*at))
                          : std::nullopt;
  };
  Strip strip{.since = time_of(since_),
              .recording_since = time_of(recording_since_),
              .now = wall};
  const Record* const found = FindLocked(key.tenant, key.id);
  if (found == nullptr) return strip;
  const Record& record = *found;
  strip.since = time_of(record.since);
  for (const ContextEntry& one : record.contexts) {
    strip.contexts.push_back({.generation = one.generation,
                              .opened = time_of(one.opened),
                              .closed = maybe(one.closed),
                              .reason = one.reason});
  }
  for (const RunEntry& one : record.runs) {
    strip.runs.push_back({.execution_id = one.execution_id,
                          .began = maybe(one.began),
                          .ended = maybe(one.ended),
                          .status = one.status,
                          .parent_id = one.parent_id});
  }
  for (const StartEntry& one : record.starts) {
    strip.starts.push_back({.result = one.result,
                            .time = time_of(one.at),
                            .by = one.by,
                            .execution_id = one.execution_id,
                            .code = one.code});
  }
  strip.contexts_before = record.contexts_before;
  strip.runs_before = record.runs_before;
  strip.starts_before = record.starts_before;
  return strip;
}

uint64_t Strips::VersionOf(const InstanceKey& key) const {
  MutexLock lock(mu_);
  const Record* const record = FindLocked(key.tenant, key.id);
  return record == nullptr ? 0 : record->version;
}

size_t Strips::bytes() const {
  MutexLock lock(mu_);
  return with_runs_.bytes + without_runs_.bytes;
}

size_t Strips::ids() const {
  MutexLock lock(mu_);
  return by_name_.size();
}

}  // namespace leasehold
