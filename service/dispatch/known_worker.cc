#include "service/dispatch/known_worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "service/dispatch/dispatcher.h"

namespace leasehold {
namespace {

// What is kept of a worker's filters for people, of each kind.
constexpr size_t kFiltersShown = 100;
constexpr size_t kVersionsShown = 10;

}  // namespace

KnownWorker::KnownWorker(WorkerId id, WorkerOptions told,
                         std::shared_ptr<WorkSink> sink, WatchTime now)
    : options(std::move(told)),
      info(std::make_shared<WorkerInfo>(
          WorkerInfo{id, std::move(sink), options.last_resort,
                     options.streams_history, options.peer})),
      connected(now),
      last_seen(now) {
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    if (options.slots[kind] == 0) options.slots[kind] = kSlotsByDefault;
    auto& filters = options.filters[kind];
    if (!filters.has_value()) continue;
    for (WorkFilter& filter : *filters) {
      Versions& versions =
          names[kind][options.last_resort ? filter.name
                                          : absl::AsciiStrToLower(filter.name)];
      versions.any |= filter.versions.empty();
      versions.some.insert(filter.versions.begin(), filter.versions.end());
      filter.versions.resize(std::min(filter.versions.size(), kVersionsShown));
    }
    filters->resize(std::min(filters->size(), kFiltersShown));
    filters->shrink_to_fit();
  }
}

std::optional<Claim> KnownWorker::ClaimOf(const Work& work) const {
  if (!Serves(work.tenant)) return std::nullopt;
  const size_t kind = Index(work.kind);
  const bool filtered = options.filters[kind].has_value();
  const auto claim = [this](Claim answering, Claim as_silent) {
    return silent ? as_silent : answering;
  };
  if (filtered) {
    const auto it = names[kind].find(
        options.last_resort ? work.name : absl::AsciiStrToLower(work.name));
    const bool named =
        it != names[kind].end() &&
        (it->second.any || it->second.some.contains(work.version));
    if (!named) return std::nullopt;
  }
  if (options.last_resort) {
    return claim(Claim::kLastResort, Claim::kSilentLastResort);
  }
  return filtered ? claim(Claim::kByName, Claim::kSilentByName)
                  : claim(Claim::kAnything, Claim::kSilentAnything);
}

WorkerStatus KnownWorker::Status() const {
  WorkerStatus status{
      .id = info->id,
      .peer = options.peer,
      .identity = options.identity,
      .sdk = options.sdk,
      .user_agent = options.user_agent,
      .last_resort = options.last_resort,
      .silent = silent,
      .untaken = info->sink == nullptr ? 0 : info->sink->untaken(),
      .disowned = disowned.size(),
      .connected = connected,
      .last_seen = last_seen};
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    const auto& filters = options.filters[kind];
    status.kinds[kind] = {.all = !filters.has_value(),
                          .takes = filters.value_or(std::vector<WorkFilter>()),
                          .names = names[kind].size(),
                          .used = out[kind],
                          .slots = options.slots[kind]};
  }
  return status;
}

}  // namespace leasehold
