#include "service/dispatch/dispatcher.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <system_error>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "service/base/hash.h"
#include "service/base/invariant.h"

namespace leasehold {
namespace {

constexpr size_t kDigits = 16;  // Of a number in a token.

// 0: not a number.
uint64_t ReadHex(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value, /*base=*/16);
  return read.ec == std::errc() && read.ptr == end ? value : 0;
}

}  // namespace

WorkerId Dispatcher::AddWorker(WorkerOptions options,
                               std::shared_ptr<WorkSink> sink, WatchTime now) {
  const WorkerId id = ++last_worker_;
  const KnownWorker& worker =
      workers_.try_emplace(id, id, std::move(options), std::move(sink), now)
          .first->second;
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    free_[kind] += worker.options.slots[kind];
  }
  // The built-in worker connects before all others: work for these is not news.
  FindTakersAnew(/*note_unwanted=*/!worker.options.last_resort);
  return id;
}

bool Dispatcher::CloseWorker(WorkerId id) {
  const auto it = workers_.find(id);
  if (it == workers_.end() || it->second.closed) return false;
  KnownWorker& worker = it->second;
  worker.closed = true;
  ++closed_;
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    free_[kind] -= worker.options.slots[kind] - worker.out[kind];
  }
  std::vector<Work*> offered;
  for (const auto& [ticket, work] : worker.works) {
    if (work->state == Work::State::kQueued) offered.push_back(work);
  }
  if (worker.works.empty()) {
    workers_.erase(it);
    --closed_;
  }
  for (Work* work : offered) {
    Withdraw(*work);
    Line(*work);
  }
  FindTakersAnew(/*note_unwanted=*/true);
  return true;
}

std::vector<Work*> Dispatcher::WorkOf(WorkerId id) const {
  std::vector<Work*> has;
  const auto it = workers_.find(id);
  if (it == workers_.end()) return has;
  for (const auto& [ticket, work] : it->second.works) {
    if (work->state == Work::State::kOut) has.push_back(work);
  }
  return has;
}

std::shared_ptr<const WorkerInfo> Dispatcher::FindWorker(WorkerId id) const {
  const auto it = workers_.find(id);
  return it == workers_.end() ? nullptr : it->second.info;
}

std::optional<WorkerStatus> Dispatcher::WorkerAfter(std::string_view tenant,
                                                    WorkerId after) const {
  for (auto it = workers_.upper_bound(after); it != workers_.end(); ++it) {
    if (it->second.Serves(tenant)) return it->second.Status();
  }
  return std::nullopt;
}

size_t Dispatcher::queued() const {
  return std::accumulate(queued_.begin(), queued_.end(), offers_.size());
}

size_t Dispatcher::out() const {
  size_t count = 0;
  for (const auto& [id, worker] : workers_) count += worker.works.size();
  return count - offers_.size();
}

Dispatcher::Totals Dispatcher::TotalsOf(WorkKind kind) const {
  const size_t index = Index(kind);
  Totals totals{.queued = queued_[index]};
  for (const auto& [id, worker] : workers_) {
    totals.out += worker.out[index];
    if (worker.closed) continue;
    totals.used += worker.out[index];
    totals.slots += worker.options.slots[index];
  }
  for (const auto& [place, offer] : offers_) {
    if (offer.work->kind != kind) continue;
    ++totals.queued;
    --totals.out;
  }
  return totals;
}

std::map<std::string, Dispatcher::TenantWorkers> Dispatcher::WorkersByTenant()
    const {
  std::map<std::string, TenantWorkers> tenants;
  for (const auto& [id, worker] : workers_) {
    if (worker.closed) continue;
    TenantWorkers& of = tenants[worker.options.tenant];
    ++(worker.options.last_resort ? of.last_resorts : of.workers);
    if (worker.silent) ++of.silent;
  }
  return tenants;
}

size_t Dispatcher::queues() const {
  size_t count = 0;
  for (const auto& queues : queues_) count += queues.size();
  return count;
}

void Dispatcher::Enqueue(Work& work) {
  CheckInvariant(work.state == Work::State::kIdle, "only idle work is queued");
  work.ticket = ++last_ticket_;
  Line(work);
}

Dispatcher::Chosen Dispatcher::ChooseNext() const {
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    if (queued_[kind] == 0 || free_[kind] == 0) continue;
    Chosen next;
    for (const auto& [key, queue] : queues_[kind]) {
      Work* head = queue.begin()->second->works.begin()->second;
      if (next.work != nullptr && next.work->ticket < head->ticket) continue;
      const WorkerId worker = Choose(*head, key.takers);
      if (worker != 0) next = {head, worker};
    }
    if (next.work != nullptr) return next;
  }
  return {};
}

OwnerId Dispatcher::OwnerOfNext() const {
  const Work* next = ChooseNext().work;
  return next == nullptr ? 0 : next->owner;
}

Work* Dispatcher::Next(OwnerId owner) {
  const auto first = offers_.lower_bound({owner, 0});
  if (first != offers_.end() && first->first.first == owner) {
    const Chosen offer = first->second;
    offers_.erase(first);
    offer.work->offered = false;
    GoOut(*offer.work, offer.worker);
    return offer.work;
  }
  for (;;) {
    const Chosen next = ChooseNext();
    if (next.work == nullptr) return nullptr;
    TakeSlot(*next.work, next.worker);
    if (next.work->owner == owner) {
      GoOut(*next.work, next.worker);
      return next.work;
    }
    Offer(next);
  }
}

void Dispatcher::TakeSlot(Work& work, WorkerId id) {
  CheckInvariant(work.state == Work::State::kQueued,
                 "only queued work goes out");
  Unline(work);
  const size_t kind = Index(work.kind);
  KnownWorker& worker = workers_.at(id);
  --free_[kind];
  ++worker.out[kind];
  if (work.alone) ++worker.alone;
  if (worker.silent) worker.probes[kind] = &work;
  worker.served = ++last_served_;
  worker.works.emplace(work.ticket, &work);
}

void Dispatcher::GoOut(Work& work, WorkerId id) {
  work.state = Work::State::kOut;
  work.worker = id;
  work.taker = workers_.at(id).info;
  work.avoid = 0;
  tokens_.erase(work.token);
  work.token = NewToken(id);
  work.moment = ++last_moment_;
  tokens_.emplace(work.token, &work);
}

void Dispatcher::Offer(const Chosen& chosen) {
  Work& work = *chosen.work;
  work.offered = true;
  offers_.emplace(std::pair(work.owner, work.ticket), chosen);
  offered_.push_back(work.owner);
}

void Dispatcher::Withdraw(Work& work) {
  const auto offer = offers_.find({work.owner, work.ticket});
  CheckInvariant(offer != offers_.end(), "what is offered is listed");
  const WorkerId worker = offer->second.worker;
  offers_.erase(offer);
  work.offered = false;
  FreeSlot(work, worker);
}

Work* Dispatcher::Find(std::string_view token) const {
  const auto it = tokens_.find(absl::string_view(token.data(), token.size()));
  return it == tokens_.end() ? nullptr : it->second;
}

void Dispatcher::End(Work& work) {
  if (work.offered) {
    Withdraw(work);
  } else if (work.state == Work::State::kQueued) {
    Unline(work);
  } else if (work.state == Work::State::kOut) {
    TakeFromWorker(work);
  }
  work.state = Work::State::kIdle;
  tokens_.erase(work.token);
  work.token.clear();
}

void Dispatcher::PutBack(Work& work, WorkerId avoid) {
  TakeFromWorker(work);
  if (avoid != 0) work.avoid = avoid;
  Line(work);
}

void Dispatcher::SetAside(Work& work) {
  work.avoid = work.worker;
  TakeFromWorker(work);
  work.state = Work::State::kIdle;
}

bool Dispatcher::Disown(Work& work) {
  KnownWorker& worker = workers_.at(work.worker);
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
  if (it == workers_.end() || it->second.closed ||
      std::exchange(it->second.silent, true)) {
    return false;
  }
  it->second.probes = {};
  FindTakersAnew(/*note_unwanted=*/true);
  return true;
}

bool Dispatcher::Heard(WorkerId id, WorkKind kind, std::string_view token,
                       WatchTime now) {
  const auto it = workers_.find(id);
  if (it == workers_.end() || it->second.closed) return false;
  it->second.last_seen = std::max(it->second.last_seen, now);
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
  if (work.state != Work::State::kQueued || work.offered) return false;
  const auto lane = lanes_.find(LaneOf(work));
  return lane != lanes_.end() &&
         std::all_of(lane->second.takers.begin(), lane->second.takers.end(),
                     [this](WorkerId id) { return IsSilent(id); });
}

const char* Dispatcher::BrokenRule() const {
  std::array<size_t, kWorkKinds> free = {};
  size_t closed = 0;
  for (const auto& [id, worker] : workers_) {
    size_t out = 0;
    for (size_t kind = 0; kind < kWorkKinds; ++kind) {
      if (worker.out[kind] > worker.options.slots[kind]) {
        return "a worker has no more work than slots";
      }
      if (!worker.closed) {
        free[kind] += worker.options.slots[kind] - worker.out[kind];
      }
      out += worker.out[kind];
    }
    if (out != worker.works.size() || worker.alone > out) {
      return "the work of a worker is counted";
    }
    if (worker.closed && out == 0) {
      return "a worker that has gone is kept only for the work it had";
    }
    if (worker.closed) ++closed;
  }
  if (closed != closed_) return "the workers that have gone are counted";
  if (free != free_) return "the free slots are those of the workers";
  const bool lanes = !lanes_.empty() || !unwanted_.empty();
  if (lanes != (queued() > offers_.size())) {
    return "work is queued exactly if it has a lane";
  }
  for (const auto& [place, offer] : offers_) {
    if (!offer.work->offered || offer.work->state != Work::State::kQueued) {
      return "what is offered has a slot, and is still queued";
    }
  }
  return nullptr;
}

uint64_t Dispatcher::FingerprintOf(const Work& work) const {
  return absl::HashOf(secret_, Index(work.kind), work.name, work.version);
}

std::vector<WorkerId> Dispatcher::TakersOf(const Work& work) const {
  std::vector<WorkerId> takers;
  Claim best = Claim::kSilentLastResort;
  const uint64_t fingerprint = FingerprintOf(work);
  for (const auto& [id, worker] : workers_) {
    const std::optional<Claim> claim = worker.ClaimOf(work);
    if (!claim.has_value() || *claim < best) continue;
    if (worker.disowned.contains(fingerprint)) continue;
    if (*claim > best) takers.clear();
    best = *claim;
    takers.push_back(id);
  }
  return takers;
}

bool Dispatcher::IsUnwanted(const Work& work) const {
  return work.state == Work::State::kQueued && !work.offered &&
         unwanted_.contains(LaneOf(work));
}

std::vector<Work*> Dispatcher::TakeNewlyUnwanted(OwnerId owner) {
  std::vector<Work*> works;
  std::erase_if(newly_unwanted_, [&](const LaneKey& key) {
    const auto lane = unwanted_.find(key);
    if (lane == unwanted_.end()) return true;
    Work* first = lane->second.works.begin()->second;
    if (first->owner != owner) return false;
    works.push_back(first);
    return true;
  });
  return works;
}

std::vector<OwnerId> Dispatcher::OwnersOfNewlyUnwanted() const {
  std::vector<OwnerId> owners;
  for (const LaneKey& key : newly_unwanted_) {
    const auto lane = unwanted_.find(key);
    if (lane == unwanted_.end()) continue;
    owners.push_back(lane->second.works.begin()->second->owner);
  }
  return owners;
}

void Dispatcher::NoteUnwanted(const LaneKey& key, Lane& lane) {
  // Without any workers, as after a start, this is not worth reporting.
  if (workers() == 0 || std::exchange(lane.told, true)) return;
  newly_unwanted_.push_back(key);
  ++unwanted_notes_;
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
  const KnownWorker* chosen = nullptr;
  for (const WorkerId id : takers) {
    const KnownWorker& worker = workers_.at(id);
    if (worker.out[kind] >= worker.options.slots[kind]) continue;
    if (work.alone && worker.alone > 0) continue;
    if (worker.info->IsFull()) continue;
    if (worker.silent && worker.probes[kind] != nullptr) continue;
    const auto rank = [&](WorkerId of, const KnownWorker& who) {
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
          .tenant = std::string(work.tenant),
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

void Dispatcher::FreeSlot(Work& work, WorkerId id) {
  KnownWorker& worker = workers_.at(id);
  if (!worker.closed) ++free_[Index(work.kind)];
  --worker.out[Index(work.kind)];
  if (work.alone) --worker.alone;
  const Work*& probe = worker.probes[Index(work.kind)];
  if (probe == &work) probe = nullptr;
  CheckInvariant(worker.works.erase(work.ticket) == 1,
                 "a worker has the work that is with it");
  if (worker.closed && worker.works.empty()) {
    workers_.erase(id);
    --closed_;
  }
}

void Dispatcher::TakeFromWorker(Work& work) {
  CheckInvariant(work.state == Work::State::kOut,
                 "work that is taken back is with a worker");
  work.Unwatch();
  FreeSlot(work, std::exchange(work.worker, 0));
  work.taker.reset();
}

uint64_t Dispatcher::Seal(uint64_t number, WorkerId worker) const {
  return MixBits(MixBits(number ^ secret_) + MixBits(worker + secret_));
}

std::string Dispatcher::NewToken(WorkerId worker) {
  const uint64_t number = ++last_token_;
  return absl::StrCat(absl::Hex(number, absl::kZeroPad16),
                      absl::Hex(Seal(number, worker), absl::kZeroPad16),
                      absl::Hex(worker));
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
