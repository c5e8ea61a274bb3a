#include "service/rpc/byte_budget.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

constexpr absl::Duration kReviewPause = absl::Milliseconds(500);

// When it may be worth while to ask again.
constexpr absl::Duration kRetryOfTenant = absl::Seconds(1);

}  // namespace

// ---- What is small ----------------------------------------------------------

bool ByteBudget::TakeSmall(size_t bytes, bool anyway, Claim& claim) {
  const size_t before = small_.fetch_add(bytes, std::memory_order_relaxed);
  if (!anyway && before + bytes > small_bytes_max()) {
    small_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  claim.budget_ = this;
  claim.large_ = false;
  claim.bytes_.store(bytes, std::memory_order_relaxed);
  return true;
}

// ---- What is not ------------------------------------------------------------

bool ByteBudget::FitsLocked(const Large& large) const {
  const auto it = connections_.find(large.holder.connection);
  return FitsLocked(large, it == connections_.end() ? nullptr : &it->second);
}

bool ByteBudget::FitsLocked(const Large& large,
                            const Connection* connection) const {
  if (large_ != 0 && large_ + large.bytes > large_bytes_max()) return false;
  if (!KeepsShareLocked(large)) return false;
  return connection == nullptr || KeepsPart(large, *connection);
}

bool ByteBudget::KeepsShareLocked(const Large& large) const {
  if (large.holder.tenant_bytes_max == 0) return true;
  const auto has = tenants_.find(large.holder.tenant);
  return has == tenants_.end() ||
         has->second + large.bytes <= large.holder.tenant_bytes_max;
}

void ByteBudget::HoldLocked(Large large) {
  Claim& claim = *large.claim;
  large.since = clock_.Now();
  large_ += large.bytes;
  Connection& connection = connections_[large.holder.connection];
  connection.bytes += large.bytes;
  tenants_[large.holder.tenant] += large.bytes;
  SetTurnLocked(connection, {connection.turn.first, ++last_grant_});
  const size_t bytes = large.bytes;
  held_.push_back(std::move(large));
  claim.place_ = std::prev(held_.end());
  claim.waits_ = false;
  claim.bytes_.store(bytes, std::memory_order_release);
}

void ByteBudget::CutLocked(Large& large) {
  if (!large.holder.cut || std::exchange(large.cut, true)) return;
  Connection& connection = connections_[large.holder.connection];
  SetTurnLocked(connection, {true, connection.turn.second});
  large.holder.cut();
}

void ByteBudget::CutForLocked(const Large& large) {
  const Instant now = clock_.Now();
  const std::string& tenant = large.holder.tenant;
  const bool own = !KeepsShareLocked(large);
  const size_t bytes_max =
      own ? large.holder.tenant_bytes_max : large_bytes_max();
  size_t left = own ? tenants_.at(tenant) : large_;
  for (Large& held : held_) {
    if (left == 0 || left + large.bytes <= bytes_max) return;
    if (held.since + limits_.patience > now) return;  // So are all after it.
    if (own && held.holder.tenant != tenant) continue;
    CutLocked(held);
    if (held.cut) left -= held.bytes;
  }
}

void ByteBudget::CutForWaitingLocked() {
  // Changes the order of the line.
  const Large* first = nullptr;
  std::vector<const Large*> of_tenants;
  for (const auto& [turn, connection] : line_) {
    for (const Large& large : connection->waiting) {
      if (!KeepsPart(large, *connection)) continue;
      if (KeepsShareLocked(large)) {
        first = &large;
        break;
      }
      of_tenants.push_back(&large);
    }
    if (first != nullptr) break;
  }
  for (const Large* large : of_tenants) CutForLocked(*large);
  if (first != nullptr) CutForLocked(*first);
}

void ByteBudget::Review() {
  MutexLock lock(mu_);
  const Instant now = clock_.Now();
  if (review_at_ > now) return;
  review_at_ = now + kReviewPause;
  CutForWaitingLocked();
}

void ByteBudget::SetTurnLocked(Connection& connection, Turn turn) {
  if (!connection.waiting.empty()) {
    line_.erase(connection.place);
    connection.place = line_.emplace(turn, &connection);
  }
  connection.turn = turn;
}

void ByteBudget::TidyLocked(const std::string& name) {
  const auto it = connections_.find(name);
  if (it->second.bytes == 0 && it->second.waiting.empty()) {
    connections_.erase(it);
  }
}

void ByteBudget::GrantLocked() {
  for (auto it = line_.begin(); it != line_.end();) {
    Connection& connection = *it->second;
    std::list<Large>& waiting = connection.waiting;
    const auto next = std::find_if(waiting.begin(), waiting.end(),
                                   [this, &connection](const Large& large) {
                                     mu_.AssertHeld();
                                     return FitsLocked(large, &connection);
                                   });
    if (next == waiting.end()) {
      ++it;
      continue;
    }
    Large large = std::move(*next);
    waiting.erase(next);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    if (waiting.empty()) line_.erase(it);
    const std::function<void()> granted = std::exchange(large.granted, nullptr);
    HoldLocked(std::move(large));  // It is another's turn now.
    granted();
    it = line_.begin();
  }
}

absl::Status ByteBudget::RefusalLocked(const Large& large) {
  const auto it = connections_.find(large.holder.connection);
  const bool own =
      it != connections_.end() && !it->first.empty() &&
      it->second.bytes + large.bytes > limits_.connection_bytes_max;
  if (own) {
    connection_refused_.Add();
    return absl::ResourceExhaustedError(absl::StrCat(
        "this connection makes the server keep ", it->second.bytes,
        " bytes of requests and unread answers, and these would be ",
        large.bytes, " more; at most ", limits_.connection_bytes_max,
        " are allowed (--max-connection-bytes): read what was answered, then "
        "try again"));
  }
  if (!KeepsShareLocked(large)) {
    tenant_refused_.Add(large.holder.tenant);
    return WithRetryAfter(
        absl::ResourceExhaustedError(absl::StrCat(
            "the limit kept_bytes of this tenant is reached, which is ",
            large.holder.tenant_bytes_max,
            ": so many bytes of its requests and unread answers does the "
            "server keep")),
        kRetryOfTenant);
  }
  total_refused_.Add();
  return absl::ResourceExhaustedError(absl::StrCat(
      "all callers together make the server keep so many requests and unread "
      "answers that there is no room for ",
      large.bytes, " bytes more; at most ", large_bytes_max(),
      " are allowed (--max-total-bytes, less a part for small ones): try "
      "again in a moment"));
}

absl::Status ByteBudget::Take(size_t bytes, MakeHolder holder, Claim& claim) {
  if (bytes <= kSmallBytes) {
    if (TakeSmall(bytes, /*anyway=*/false, claim)) return absl::OkStatus();
    total_refused_.Add();
    return absl::ResourceExhaustedError(absl::StrCat(
        "all callers together make the server keep more than ",
        small_bytes_max(),
        " bytes of small unread answers; that is the limit (a part of "
        "--max-total-bytes): read what was answered, then try again"));
  }
  Large large{.bytes = bytes, .holder = holder(), .claim = &claim, .since = {}};
  claim.budget_ = this;
  claim.large_ = true;
  MutexLock lock(mu_);
  if (!FitsLocked(large)) {
    CutForLocked(large);
    claim.budget_ = nullptr;
    return RefusalLocked(large);
  }
  HoldLocked(std::move(large));
  return absl::OkStatus();
}

void ByteBudget::TakeAnyway(size_t bytes, MakeHolder holder, Claim& claim) {
  if (bytes <= kSmallBytes) {
    TakeSmall(bytes, /*anyway=*/true, claim);
    return;
  }
  Large large{.bytes = bytes, .holder = holder(), .claim = &claim, .since = {}};
  claim.budget_ = this;
  claim.large_ = true;
  MutexLock lock(mu_);
  if (!FitsLocked(large)) CutForLocked(large);
  HoldLocked(std::move(large));
}

bool ByteBudget::TakeOrWait(size_t bytes, MakeHolder holder,
                            std::function<void()> granted, Claim& claim) {
  if (bytes <= kSmallBytes) {
    // A stream has one of them at a time.
    return TakeSmall(bytes, /*anyway=*/true, claim);
  }
  Large large{.bytes = bytes, .holder = holder(), .claim = &claim, .since = {}};
  claim.budget_ = this;
  claim.large_ = true;
  MutexLock lock(mu_);
  if (FitsLocked(large)) {
    HoldLocked(std::move(large));
    return true;
  }
  CutForLocked(large);
  large.granted = std::move(granted);
  Connection& connection = connections_[large.holder.connection];
  if (connection.waiting.empty()) {
    connection.place = line_.emplace(connection.turn, &connection);
  }
  connection.waiting.push_back(std::move(large));
  waiting_.fetch_add(1, std::memory_order_relaxed);
  claim.place_ = std::prev(connection.waiting.end());
  claim.waits_ = true;
  return false;
}

void ByteBudget::Release(Claim& claim) {
  claim.budget_ = nullptr;
  const size_t bytes = claim.bytes_.exchange(0, std::memory_order_acquire);
  if (!claim.large_) {
    small_.fetch_sub(bytes, std::memory_order_relaxed);
    return;
  }
  MutexLock lock(mu_);
  const std::string name = claim.place_->holder.connection;
  Connection& connection = connections_.at(name);
  if (claim.waits_) {
    claim.waits_ = false;
    connection.waiting.erase(claim.place_);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    if (connection.waiting.empty()) line_.erase(connection.place);
    return TidyLocked(name);
  }
  // Read here: it may have been granted just now.
  const Large& large = *claim.place_;
  claim.bytes_.store(0, std::memory_order_relaxed);
  large_ -= large.bytes;
  connection.bytes -= large.bytes;
  const auto tenant = tenants_.find(large.holder.tenant);
  tenant->second -= large.bytes;
  if (tenant->second == 0) tenants_.erase(tenant);
  if (!large.cut) SetTurnLocked(connection, {false, connection.turn.second});
  held_.erase(claim.place_);
  TidyLocked(name);
  GrantLocked();
  CutForWaitingLocked();
}

size_t ByteBudget::total() const {
  MutexLock lock(mu_);
  return large_ + small_.load(std::memory_order_relaxed);
}

}  // namespace leasehold
