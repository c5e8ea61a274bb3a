#include "service/dispatch/dispatcher.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "service/base/hash.h"
#include "service/base/invariant.h"

namespace leasehold {
namespace {

size_t Index(WorkKind kind) { return static_cast<size_t>(kind); }

constexpr size_t kDigits = 16;  // Of a number in a token.

// 0: not a number.
uint64_t ReadHex(std::string_view text) {
  uint64_t value = 0;
  return absl::SimpleHexAtoi({text.data(), text.size()}, &value) ? value : 0;
}

}  // namespace

WorkerId Dispatcher::AddWorker(WorkerOptions options,
                               std::shared_ptr<WorkSink> sink) {
  Worker worker{.options = std::move(options), .sink = std::move(sink)};
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    size_t& slots = worker.options.slots[kind];
    if (slots == 0) slots = kSlotsByDefault;
    free_[kind] += slots;
    auto& filters = worker.options.filters[kind];
    if (!filters.has_value()) continue;
    for (WorkFilter& filter : *filters) {
      Versions& versions =
          worker.names[kind][worker.options.last_resort
                                 ? filter.name
                                 : absl::AsciiStrToLower(filter.name)];
      versions.any |= filter.versions.empty();
      versions.some.insert(filter.versions.begin(), filter.versions.end());
    }
    filters->clear();  // Only its presence matters from now on.
  }
  const WorkerId id = ++last_worker_;
  const bool last_resort = worker.options.last_resort;
  workers_.emplace(id, std::move(worker));
  // The built-in worker connects before all others: work for these is not news.
  FindTakersAnew(/*note_unwanted=*/!last_resort);
  return id;
}

void Dispatcher::RemoveWorker(WorkerId id) {
  const auto it = workers_.find(id);
  if (it == workers_.end()) return;
  for (Work* work : WorkOf(id)) PutBack(*work);
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    free_[kind] -= it->second.options.slots[kind];
  }
  workers_.erase(it);
  FindTakersAnew(/*note_unwanted=*/true);
}

std::vector<Work*> Dispatcher::WorkOf(WorkerId id) const {
  std::vector<Work*> has;
  const auto it = workers_.find(id);
  if (it == workers_.end()) return has;
  for (const auto& [ticket, work] : it->second.works) has.push_back(work);
  return has;
}

bool Dispatcher::IsFull(const Worker& worker) {
  return worker.sink != nullptr &&
         worker.sink->untaken() > WorkSink::kUntakenBytesMax;
}

bool Dispatcher::IsFull(WorkerId id) const {
  const auto it = workers_.find(id);
  return it != workers_.end() && IsFull(it->second);
}

bool Dispatcher::StreamsHistory(WorkerId id) const {
  const auto it = workers_.find(id);
  return it != workers_.end() && it->second.options.streams_history;
}

std::string_view Dispatcher::PeerOf(WorkerId id) const {
  const auto it = workers_.find(id);
  return it == workers_.end() ? "" : std::string_view(it->second.options.peer);
}

bool Dispatcher::IsLastResort(WorkerId id) const {
  const auto it = workers_.find(id);
  return it != workers_.end() && it->second.options.last_resort;
}

std::shared_ptr<WorkSink> Dispatcher::FindSink(WorkerId id) const {
  const auto it = workers_.find(id);
  return it == workers_.end() ? nullptr : it->second.sink;
}

void Dispatcher::Enqueue(Work& work) {
  CheckInvariant(work.state == Work::State::kIdle, "only idle work is queued");
  work.ticket = ++last_ticket_;
  Line(work);
}

std::optional<Dispatcher::Assignment> Dispatcher::Next() {
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    if (queued_[kind] == 0 || free_[kind] == 0) continue;
    Work* next = nullptr;
    WorkerId chosen = 0;
    for (const auto& [key, queue] : queues_[kind]) {
      Work* head = queue.begin()->second->works.begin()->second;
      if (next != nullptr && next->ticket < head->ticket) continue;
      const WorkerId worker = Choose(*head, key.takers);
      if (worker == 0) continue;
      next = head;
      chosen = worker;
    }
    if (next == nullptr) continue;

    CheckInvariant(next->state == Work::State::kQueued,
                   "only queued work goes out");
    Unline(*next);
    Worker& worker = workers_.at(chosen);
    --free_[kind];
    ++worker.out[kind];
    if (next->alone) ++worker.alone;
    if (worker.silent) worker.probes[kind] = next;
    worker.served = ++last_served_;
    worker.works.emplace(next->ticket, next);
    next->state = Work::State::kOut;
    next->worker = chosen;
    next->avoid = 0;
    tokens_.erase(next->token);
    next->token = NewToken(chosen);
    next->moment = ++last_moment_;
    tokens_.emplace(next->token, next);
    return Assignment{next, worker.sink};
  }
  return std::nullopt;
}

Work* Dispatcher::Find(std::string_view token) const {
  const auto it = tokens_.find(std::string(token));
  return it == tokens_.end() ? nullptr : it->second;
}

void Dispatcher::End(Work& work) {
  if (work.state == Work::State::kQueued) Unline(work);
  if (work.state == Work::State::kOut) TakeFromWorker(work);
  work.state = Work::State::kIdle;
  tokens_.erase(work.token);
  work.token.clear();
}

void Dispatcher::PutBack(Work& work) {
  TakeFromWorker(work);
  Line(work);
}

void Dispatcher::SetAside(Work& work) {
  work.avoid = work.worker;
  TakeFromWorker(work);
  work.state = Work::State::kIdle;
}

bool Dispatcher::Disown(Work& work) {
  Worker& worker = workers_.at(work.worker);
  const bool room = worker.disowned.size() < kDisownedMax;
  if (room) worker.disowned.insert(FingerprintOf(work));
  TakeFromWorker(work);
  Line(work);
  if (room) FindTakersOf(work);
  return room;
}

void Dispatcher::ForgetDisowned(const Work& work) {
  const uint64_t fingerprint = FingerprintOf(work);
  for (auto& [id, worker] : workers_) worker.disowned.erase(fingerprint);
  FindTakersOf(work);
}

bool Dispatcher::SetSilent(WorkerId id) {
  const auto it = workers_.find(id);
  if (it == workers_.end() || std::exchange(it->second.silent, true)) {
    return false;
  }
  it->second.probes = {};
  FindTakersAnew(/*note_unwanted=*/true);
  return true;
}

bool Dispatcher::Heard(WorkerId id, WorkKind kind, std::string_view token) {
  const auto it = workers_.find(id);
  if (it == workers_.end()) return false;
  uint64_t& newest = it->second.newest[Index(kind)];
  newest = std::max(newest, NumberOf(token));
  it->second.heard[Index(kind)] = ++last_moment_;
  if (!std::exchange(it->second.silent, false)) return false;
  FindTakersAnew(/*note_unwanted=*/true);
  return true;
}

bool Dispatcher::IsSilent(WorkerId id) const {
  const auto it = workers_.find(id);
  return it != workers_.end() && it->second.silent;
}

bool Dispatcher::HasAnsweredSince(const Work& work) const {
  const auto it = workers_.find(work.worker);
  return it != workers_.end() &&
         std::any_of(it->second.heard.begin(), it->second.heard.end(),
                     [&work](uint64_t when) { return when > work.moment; });
}

bool Dispatcher::IsBehind(const Work& work) const {
  const auto it = workers_.find(work.worker);
  return it != workers_.end() &&
         it->second.heard[Index(work.kind)] > work.moment &&
         it->second.newest[Index(work.kind)] < NumberOf(work.token);
}

bool Dispatcher::IsLeftToSilent(const Work& work) const {
  if (work.state != Work::State::kQueued) return false;
  const auto lane = lanes_.find(LaneOf(work));
  return lane != lanes_.end() &&
         std::all_of(lane->second.takers.begin(), lane->second.takers.end(),
                     [this](WorkerId id) { return IsSilent(id); });
}

void Dispatcher::Clear() {
  newly_unwanted_.clear();
  for (auto& queues : queues_) queues.clear();
  lanes_.clear();
  unwanted_.clear();
  tokens_.clear();
  queued_ = {};
  for (auto& [id, worker] : workers_) {
    for (size_t kind = 0; kind < kWorkKinds; ++kind) {
      free_[kind] += worker.out[kind];
    }
    worker.out = {};
    worker.alone = 0;
    for (auto& [ticket, work] : worker.works) work->Unwatch();
    worker.works.clear();
    worker.probes = {};
  }
}

const char* Dispatcher::BrokenRule() const {
  std::array<size_t, kWorkKinds> free = {};
  for (const auto& [id, worker] : workers_) {
    size_t out = 0;
    for (size_t kind = 0; kind < kWorkKinds; ++kind) {
      if (worker.out[kind] > worker.options.slots[kind]) {
        return "a worker has no more work than slots";
      }
      free[kind] += worker.options.slots[kind] - worker.out[kind];
      out += worker.out[kind];
    }
    if (out != worker.works.size() || worker.alone > out) {
      return "the work of a worker is counted";
    }
  }
  if (free != free_) return "the free slots are those of the workers";
  const bool lanes = !lanes_.empty() || !unwanted_.empty();
  if (lanes != (queued() > 0)) return "work is queued exactly if it has a lane";
  return nullptr;
}

std::optional<Dispatcher::Claim> Dispatcher::ClaimOf(const Worker& worker,
                                                     const Work& work) {
  const auto& filters = worker.options.filters[Index(work.kind)];
  const bool last_resort = worker.options.last_resort;
  const auto claim = [&worker](Claim answering, Claim silent) {
    return worker.silent ? silent : answering;
  };
  if (filters.has_value()) {
    const Names& names = worker.names[Index(work.kind)];
    const auto it =
        names.find(last_resort ? work.name : absl::AsciiStrToLower(work.name));
    const bool named =
        it != names.end() &&
        (it->second.any || it->second.some.contains(work.version));
    if (!named) return std::nullopt;
  }
  if (last_resort) return claim(Claim::kLastResort, Claim::kSilentLastResort);
  return filters.has_value() ? claim(Claim::kByName, Claim::kSilentByName)
                             : claim(Claim::kAnything, Claim::kSilentAnything);
}

uint64_t Dispatcher::FingerprintOf(const Work& work) const {
  return absl::HashOf(secret_, Index(work.kind), work.name, work.version);
}

std::vector<WorkerId> Dispatcher::TakersOf(const Work& work) const {
  std::vector<WorkerId> takers;
  Claim best = Claim::kSilentLastResort;
  const uint64_t fingerprint = FingerprintOf(work);
  for (const auto& [id, worker] : workers_) {
    const std::optional<Claim> claim = ClaimOf(worker, work);
    if (!claim.has_value() || *claim < best) continue;
    if (worker.disowned.contains(fingerprint)) continue;
    if (*claim > best) takers.clear();
    best = *claim;
    takers.push_back(id);
  }
  return takers;
}

Dispatcher::Reach Dispatcher::ReachOf(const Work& work) const {
  Reach reach;
  const uint64_t fingerprint = FingerprintOf(work);
  for (const auto& [id, worker] : workers_) {
    if (worker.options.last_resort) continue;
    ++reach.workers;
    if (!ClaimOf(worker, work).has_value()) continue;
    if (worker.disowned.contains(fingerprint)) {
      ++reach.disowns;
    } else if (worker.silent) {
      ++reach.silent;
    } else {
      ++reach.takes;
    }
  }
  return reach;
}

bool Dispatcher::IsUnwanted(const Work& work) const {
  return work.state == Work::State::kQueued && unwanted_.contains(LaneOf(work));
}

std::vector<Work*> Dispatcher::TakeNewlyUnwanted() {
  std::vector<Work*> works;
  for (const LaneKey& key : std::exchange(newly_unwanted_, {})) {
    const auto lane = unwanted_.find(key);
    if (lane != unwanted_.end()) {
      works.push_back(lane->second.works.begin()->second);
    }
  }
  return works;
}

void Dispatcher::NoteUnwanted(const LaneKey& key, Lane& lane) {
  // Without any workers, as after a start, this is not worth reporting.
  if (workers_.empty() || std::exchange(lane.told, true)) return;
  newly_unwanted_.push_back(key);
}

void Dispatcher::Unplace(const LaneKey& key, Lane& lane) {
  if (lane.placed == 0) return;
  auto& queues = queues_[Index(key.kind)];
  const auto queue = queues.find({lane.takers, key.alone});
  queue->second.erase(std::exchange(lane.placed, 0));
  if (queue->second.empty()) queues.erase(queue);
}

void Dispatcher::Place(const LaneKey& key, Lane& lane) {
  const uint64_t first =
      lane.takers.empty() || lane.works.empty() ? 0 : lane.works.begin()->first;
  if (first == lane.placed) return;
  Unplace(key, lane);
  if (first == 0) return;
  lane.placed = first;
  queues_[Index(key.kind)][{lane.takers, key.alone}].emplace(first, &lane);
}

void Dispatcher::FindTakersAnew(bool note_unwanted) {
  lanes_.merge(unwanted_);
  for (auto it = lanes_.begin(); it != lanes_.end();) {
    Lane& lane = it->second;
    std::vector<WorkerId> takers = TakersOf(*lane.works.begin()->second);
    if (takers != lane.takers) {
      Unplace(it->first, lane);
      lane.takers = std::move(takers);
      Place(it->first, lane);
    }
    const auto next = std::next(it);
    if (lane.takers.empty()) {
      if (note_unwanted) NoteUnwanted(it->first, lane);
      unwanted_.insert(lanes_.extract(it));
    } else {
      lane.told = false;
    }
    it = next;
  }
}

void Dispatcher::FindTakersOf(const Work& work) {
  LaneKey key = LaneOf(work);
  for (const bool alone : {false, true}) {
    key.alone = alone;
    auto node = lanes_.extract(key);
    if (node.empty()) node = unwanted_.extract(key);
    if (node.empty()) continue;
    Lane& lane = node.mapped();
    Unplace(key, lane);
    lane.takers = TakersOf(*lane.works.begin()->second);
    Place(key, lane);
    if (lane.takers.empty()) {
      NoteUnwanted(key, lane);
      unwanted_.insert(std::move(node));
    } else {
      lane.told = false;
      lanes_.insert(std::move(node));
    }
  }
}

WorkerId Dispatcher::Choose(const Work& work,
                            const std::vector<WorkerId>& takers) const {
  const size_t kind = Index(work.kind);
  WorkerId best = 0;
  const Worker* chosen = nullptr;
  for (const WorkerId id : takers) {
    const Worker& worker = workers_.at(id);
    if (worker.out[kind] >= worker.options.slots[kind]) continue;
    if (work.alone && worker.alone > 0) continue;
    if (IsFull(worker)) continue;
    if (worker.silent && worker.probes[kind] != nullptr) continue;
    const auto rank = [&](WorkerId of, const Worker& who) {
      return std::tuple(of == work.avoid, who.out[kind], who.served);
    };
    if (chosen == nullptr || rank(id, worker) < rank(best, *chosen)) {
      best = id;
      chosen = &worker;
    }
  }
  return best;
}

void Dispatcher::Line(Work& work) {
  work.state = Work::State::kQueued;
  ++queued_[Index(work.kind)];
  const LaneKey key = LaneOf(work);
  auto lane = lanes_.find(key);
  if (lane == lanes_.end()) {
    lane = unwanted_.find(key);
    if (lane == unwanted_.end()) {
      Lane made{.works = {}, .takers = TakersOf(work)};
      if (made.takers.empty()) NoteUnwanted(key, made);
      Lanes& lanes = made.takers.empty() ? unwanted_ : lanes_;
      lane = lanes.emplace(key, std::move(made)).first;
    }
  }
  lane->second.works.emplace(work.ticket, &work);
  Place(key, lane->second);
}

Dispatcher::LaneKey Dispatcher::LaneOf(const Work& work) {
  return {.kind = work.kind,
          .name = work.name,
          .version = work.version,
          .alone = work.alone};
}

void Dispatcher::Unline(Work& work) {
  --queued_[Index(work.kind)];
  const LaneKey key = LaneOf(work);
  for (Lanes* lanes : {&lanes_, &unwanted_}) {
    const auto lane = lanes->find(key);
    if (lane == lanes->end()) continue;
    CheckInvariant(lane->second.works.erase(work.ticket) == 1,
                   "queued work is in its lane");
    Place(key, lane->second);
    if (lane->second.works.empty()) lanes->erase(lane);
    return;
  }
  CheckInvariant(false, "queued work has a lane");
}

void Dispatcher::TakeFromWorker(Work& work) {
  const auto it = workers_.find(work.worker);
  CheckInvariant(work.state == Work::State::kOut && it != workers_.end(),
                 "work that is taken back is with a worker");
  Worker& worker = it->second;
  ++free_[Index(work.kind)];
  --worker.out[Index(work.kind)];
  if (work.alone) --worker.alone;
  const Work*& probe = worker.probes[Index(work.kind)];
  if (probe == &work) probe = nullptr;
  work.Unwatch();
  CheckInvariant(worker.works.erase(work.ticket) == 1,
                 "a worker has the work that is with it");
  work.worker = 0;
}

uint64_t Dispatcher::Seal(uint64_t number, WorkerId worker) const {
  return MixBits(MixBits(number ^ secret_) + MixBits(worker + secret_));
}

std::string Dispatcher::NewToken(WorkerId worker) {
  const uint64_t number = ++last_token_;
  return absl::StrFormat("%016x%016x%x", number, Seal(number, worker), worker);
}

WorkerId Dispatcher::WorkerOf(std::string_view token) const {
  if (token.size() <= 2 * kDigits || token.size() > 3 * kDigits) return 0;
  const WorkerId worker = ReadHex(token.substr(2 * kDigits));
  const bool ours =
      ReadHex(token.substr(kDigits, kDigits)) == Seal(NumberOf(token), worker);
  return ours ? worker : 0;
}

uint64_t Dispatcher::NumberOf(std::string_view token) {
  return ReadHex(token.substr(0, kDigits));
}

}  // namespace leasehold
