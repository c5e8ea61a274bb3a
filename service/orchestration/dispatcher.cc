#include "service/orchestration/dispatcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"

namespace leasehold {
namespace {

size_t Index(WorkKind kind) { return static_cast<size_t>(kind); }

bool SameName(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase({a.data(), a.size()}, {b.data(), b.size()});
}

// Mixes all bits of a number (the finaliser of MurmurHash3).
uint64_t Mix(uint64_t n) {
  n ^= n >> 33;
  n *= 0xff51afd7ed558ccd;
  n ^= n >> 33;
  n *= 0xc4ceb9fe1a85ec53;
  return n ^ n >> 33;
}

}  // namespace

WorkerId Dispatcher::AddWorker(WorkerOptions options,
                               std::shared_ptr<WorkSink> sink) {
  Worker worker{.options = std::move(options), .sink = std::move(sink)};
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    size_t& slots = worker.options.slots[kind];
    if (slots == 0) slots = kSlotsByDefault;
    free_[kind] += slots;
  }
  const WorkerId id = ++last_worker_;
  workers_.emplace(id, std::move(worker));
  FindTakersAnew();
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
  FindTakersAnew();
}

std::vector<Work*> Dispatcher::WorkOf(WorkerId id) const {
  std::vector<Work*> has;
  const auto it = workers_.find(id);
  if (it == workers_.end()) return has;
  for (const auto& [ticket, work] : it->second.works) has.push_back(work);
  return has;
}

bool Dispatcher::StreamsHistory(WorkerId id) const {
  const auto it = workers_.find(id);
  return it != workers_.end() && it->second.options.streams_history;
}

std::shared_ptr<WorkSink> Dispatcher::FindSink(WorkerId id) const {
  const auto it = workers_.find(id);
  return it == workers_.end() ? nullptr : it->second.sink;
}

void Dispatcher::Enqueue(Work& work) {
  work.ticket = ++last_ticket_;
  Line(work);
}

std::optional<Dispatcher::Assignment> Dispatcher::Next() {
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    if (queued_[kind] == 0 || free_[kind] == 0) continue;
    Work* next = nullptr;
    WorkerId chosen = 0;
    const LaneKey first{.kind = static_cast<WorkKind>(kind)};
    for (auto lane = lanes_.lower_bound(first);
         lane != lanes_.end() && lane->first.kind == first.kind; ++lane) {
      Work* head = lane->second.works.begin()->second;
      if (next != nullptr && next->ticket < head->ticket) continue;
      const WorkerId worker = Choose(*head, lane->second.takers);
      if (worker == 0) continue;
      next = head;
      chosen = worker;
    }
    if (next == nullptr) continue;

    Unline(*next);
    Worker& worker = workers_.at(chosen);
    --free_[kind];
    ++worker.out[kind];
    if (next->alone) ++worker.alone;
    worker.served = ++last_served_;
    worker.works.emplace(next->ticket, next);
    next->state = Work::State::kOut;
    next->worker = chosen;
    next->avoid = 0;
    tokens_.erase(next->token);
    next->token = NewToken();
    tokens_.emplace(next->token, next);
    return Assignment{next, worker.sink};
  }
  return std::nullopt;
}

Work* Dispatcher::Find(std::string_view token) const {
  const auto it = tokens_.find(std::string(token));
  return it == tokens_.end() ? nullptr : it->second;
}

void Dispatcher::Take(Work& work) {
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

void Dispatcher::Hold(Work& work) {
  work.avoid = work.worker;
  TakeFromWorker(work);
  work.state = Work::State::kIdle;
}

void Dispatcher::Clear() {
  lanes_.clear();
  unwanted_.clear();
  tokens_.clear();
  queued_ = {0, 0};
  for (auto& [id, worker] : workers_) {
    for (size_t kind = 0; kind < kWorkKinds; ++kind) {
      free_[kind] += worker.out[kind];
    }
    worker.out = {0, 0};
    worker.alone = 0;
    worker.works.clear();
  }
}

bool Dispatcher::Wants(const Worker& worker, const Work& work) {
  const auto& filters = worker.options.filters[Index(work.kind)];
  if (!filters.has_value()) return true;
  const bool exactly = worker.options.last_resort;
  return std::any_of(
      filters->begin(), filters->end(), [&](const WorkFilter& filter) {
        if (exactly ? filter.name != work.name
                    : !SameName(filter.name, work.name)) {
          return false;
        }
        return filter.versions.empty() ||
               std::find(filter.versions.begin(), filter.versions.end(),
                         work.version) != filter.versions.end();
      });
}

std::vector<WorkerId> Dispatcher::TakersOf(const Work& work) const {
  std::vector<WorkerId> takers;
  std::vector<WorkerId> last_resort;
  for (const auto& [id, worker] : workers_) {
    if (!Wants(worker, work)) continue;
    (worker.options.last_resort ? last_resort : takers).push_back(id);
  }
  return takers.empty() ? last_resort : takers;
}

void Dispatcher::FindTakersAnew() {
  lanes_.merge(unwanted_);
  for (auto it = lanes_.begin(); it != lanes_.end();) {
    Lane& lane = it->second;
    lane.takers = TakersOf(*lane.works.begin()->second);
    const auto next = std::next(it);
    if (lane.takers.empty()) unwanted_.insert(lanes_.extract(it));
    it = next;
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
      Lanes& lanes = made.takers.empty() ? unwanted_ : lanes_;
      lane = lanes.emplace(key, std::move(made)).first;
    }
  }
  lane->second.works.emplace(work.ticket, &work);
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
    lane->second.works.erase(work.ticket);
    if (lane->second.works.empty()) lanes->erase(lane);
    return;
  }
}

void Dispatcher::TakeFromWorker(Work& work) {
  Worker& worker = workers_.at(work.worker);
  ++free_[Index(work.kind)];
  --worker.out[Index(work.kind)];
  if (work.alone) --worker.alone;
  worker.works.erase(work.ticket);
  work.worker = 0;
}

std::string Dispatcher::NewToken() {
  const uint64_t number = ++last_token_;
  return absl::StrFormat("%016x%016x", number,
                         Mix(Mix(number ^ secret_) + secret_));
}

}  // namespace leasehold
