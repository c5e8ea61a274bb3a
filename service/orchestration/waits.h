// Waits: callers that wait for orchestrations, with a limit for each
// connection.
//
// Clients leave waits behind: some SDKs give up without cancelling the call,
// and without a deadline. So a connection with too many waits loses its oldest
// one, which its client has probably abandoned; other connections are not
// affected.
//
// `Waiter` has members `id` (ascending numbers) and `peer` (its connection).
//
// Thread-safety: none; callers synchronise.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_WAITS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_WAITS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace leasehold {

template <typename Waiter>
class Waits {
 public:
  // `peer_max`: per connection.
  explicit Waits(size_t peer_max) : peer_max_(peer_max) {}

  // Adds a waiter for `key`. If its connection then has too many, removes and
  // returns its oldest.
  std::optional<Waiter> Add(const std::string& key, Waiter waiter) {
    Ids& ids = peers_[waiter.peer];
    ids.emplace(waiter.id, key);
    waiters_[key].push_back(std::move(waiter));
    if (ids.size() <= peer_max_) return std::nullopt;
    const auto [id, of] = *ids.begin();
    std::vector<Waiter> oldest =
        TakeIf(of, [id = id](const Waiter& one) { return one.id == id; });
    return std::move(oldest.front());
  }

  bool empty() const { return waiters_.empty(); }
  bool Contains(const std::string& key) const { return waiters_.contains(key); }
  std::vector<std::string> Keys() const {
    std::vector<std::string> keys;
    for (const auto& [key, waiters] : waiters_) keys.push_back(key);
    return keys;
  }

  // Takes the waiters for `key` that match, in order of arrival.
  template <typename IsSo>
  std::vector<Waiter> TakeIf(const std::string& key, IsSo is_so) {
    std::vector<Waiter> taken;
    const auto it = waiters_.find(key);
    if (it == waiters_.end()) return taken;
    std::vector<Waiter>& waiters = it->second;
    const auto end = std::stable_partition(
        waiters.begin(), waiters.end(),
        [&is_so](const Waiter& waiter) { return !is_so(waiter); });
    std::move(end, waiters.end(), std::back_inserter(taken));
    waiters.erase(end, waiters.end());
    if (waiters.empty()) waiters_.erase(it);
    for (const Waiter& waiter : taken) Forget(waiter);
    return taken;
  }

  // Takes the waiters for all keys that match.
  template <typename IsSo>
  std::vector<Waiter> TakeForKeys(IsSo is_so) {
    std::vector<Waiter> taken;
    for (const std::string& key : Keys()) {
      if (!is_so(key)) continue;
      std::vector<Waiter> more =
          TakeIf(key, [](const Waiter&) { return true; });
      std::move(more.begin(), more.end(), std::back_inserter(taken));
    }
    return taken;
  }

  std::vector<Waiter> TakeAll() {
    std::vector<Waiter> taken;
    for (auto& [key, waiters] : waiters_) {
      std::move(waiters.begin(), waiters.end(), std::back_inserter(taken));
    }
    waiters_.clear();
    peers_.clear();
    return taken;
  }

 private:
  using Ids = std::map<uint64_t, std::string>;  // With the key of each.

  void Forget(const Waiter& waiter) {
    const auto it = peers_.find(waiter.peer);
    it->second.erase(waiter.id);
    if (it->second.empty()) peers_.erase(it);
  }

  const size_t peer_max_;
  absl::flat_hash_map<std::string, std::vector<Waiter>> waiters_;
  absl::flat_hash_map<std::string, Ids> peers_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_WAITS_H_
