// ByteBudget: how many bytes the server keeps for its callers.
//
// Messages that were handed to gRPC and are not written yet, and requests that
// are being served, claim their bytes here, against the limits of their
// connection, of their tenant and of the whole server. So a client that asks
// for much and reads nothing is refused, and does not take the memory of
// others.
//
//   ByteBudget::Claim claim;
//   absl::Status status = budget.Take(bytes, who, claim);
//   ... until `claim` is destroyed, or released.
//
// Small claims cost one atomic operation and have a share of the whole for
// themselves (kSmallShare), so that they succeed while large ones fill the
// rest, and count for no tenant. A connection or a tenant that has no claim may
// claim more than its limit: otherwise a message that is larger could never be
// sent. Claims older than `patience`
// are cut when others need their room.
//
// Connections that wait take turns, no matter with how many streams each waits:
// the one whose last grant is the oldest comes first. A connection that was cut
// had not read what it was sent; it comes behind all others until it gives
// something back by itself.
//
// Thread-safety: safe; a Claim belongs to one thread, except at the moment when
// it is granted.   Lifetime: the clock outlives the budget; the budget outlives
// its claims.
#ifndef LEASEHOLD_SERVICE_RPC_BYTE_BUDGET_H_
#define LEASEHOLD_SERVICE_RPC_BYTE_BUDGET_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/base/cells.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/base/tenant_tally.h"

namespace leasehold {

class ByteBudget {
 public:
  struct Limits {
    size_t connection_bytes_max = size_t{64} << 20;
    size_t total_bytes_max = size_t{512} << 20;
    // How long a client may leave sent bytes unread while others need the room.
    absl::Duration patience = absl::Seconds(10);
  };

  // Claims of up to this size are small.
  static constexpr size_t kSmallBytes = 16 << 10;
  // One part in this many of the whole is reserved for small claims.
  static constexpr size_t kSmallShare = 8;

  // The call that claims.
  struct Holder {
    // The connection's name. Empty: it has none of its own, so that only the
    // limit of the whole server counts.
    std::string connection;
    // Whose call it is, and how much calls of theirs may claim together, as
    // much as a connection may. 0: only the other limits count.
    std::string tenant = {};
    size_t tenant_bytes_max = 0;
    // Ends the call that the claim is for, so that the claim is given back
    // soon. Called under the budget's lock, while the claim is held: it must
    // not block, and must not call the budget. May be null.
    std::function<void()> cut;
  };
  // Called only for claims that are not small.
  using MakeHolder = absl::FunctionRef<Holder()>;

  class Claim;

  ByteBudget(const Clock& clock, Limits limits)
      : clock_(clock), limits_(limits) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  const Limits& limits() const { return limits_; }

  // The most that large claims may come to together.
  size_t large_bytes_max() const {
    return limits_.total_bytes_max - small_bytes_max();
  }

  // Claims `bytes`. REQUIRES: `claim` is empty.
  //   ResourceExhausted: there is no room; the message says which limit was
  //     reached, and what to do.
  absl::Status Take(size_t bytes, MakeHolder holder, Claim& claim);

  // Claims them even beyond the limits, where a refusal would harm others.
  void TakeAnyway(size_t bytes, MakeHolder holder, Claim& claim);

  // Claims them (true), or lets `claim` wait for them (false): then `granted`
  // is called once it has them, by the thread that makes room, under the
  // budget's lock; it must not block, and must not call the budget.
  bool TakeOrWait(size_t bytes, MakeHolder holder,
                  std::function<void()> granted, Claim& claim);

  // Whether a claim waits. While one does, call Review at least once a second:
  // if nothing else happens, nothing else cuts what others leave unread.
  bool has_waiting() const {
    return waiting_.load(std::memory_order_relaxed) > 0;
  }
  void Review() ABSL_LOCKS_EXCLUDED(mu_);

  // The sum of all claims.
  size_t total() const ABSL_LOCKS_EXCLUDED(mu_);
  // How many were refused, by the limit that did it.
  struct Refusals {
    uint64_t connection = 0;  // connection_bytes_max
    uint64_t total = 0;       // total_bytes_max
    TenantTally::Counts tenants = {};
  };
  Refusals refusals() const {
    return {.connection = connection_refused_.value(),
            .total = total_refused_.value(),
            .tenants = tenant_refused_.Read()};
  }

 private:
  // A connection's place among those that wait: whether it was cut, and when
  // its last claim was granted.
  using Turn = std::pair<bool, uint64_t>;
  struct Connection;
  struct Large {
    size_t bytes = 0;
    Holder holder;
    Claim* claim = nullptr;
    Instant since;
    bool cut = false;
    std::function<void()> granted = nullptr;  // If it waits.
  };
  struct Connection {
    size_t bytes = 0;
    Turn turn = {false, 0};
    std::list<Large> waiting = {};                          // Oldest first.
    std::multimap<Turn, Connection*>::iterator place = {};  // If any waits.
  };

  bool TakeSmall(size_t bytes, bool anyway, Claim& claim);
  bool FitsLocked(const Large& large) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // `connection`: the claim's own; null if it has no other claim.
  bool FitsLocked(const Large& large, const Connection* connection) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool KeepsPart(const Large& large, const Connection& connection) const {
    return connection.bytes == 0 || large.holder.connection.empty() ||
           connection.bytes + large.bytes <= limits_.connection_bytes_max;
  }
  // Whether its tenant would have no more than it may. One that has nothing may
  // have any message.
  bool KeepsShareLocked(const Large& large) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void HoldLocked(Large large) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Cuts claims whose clients have not read what they were sent, until there is
  // room for this one: those of its tenant, if that has too much.
  void CutForLocked(const Large& large) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CutLocked(Large& large) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GrantLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Cuts for the first waiting claim that only other connections keep waiting.
  void CutForWaitingLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetTurnLocked(Connection& connection, Turn turn)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Forgets a connection that has no claims and waits for none.
  void TidyLocked(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Release(Claim& claim) ABSL_LOCKS_EXCLUDED(mu_);
  // Counts it.
  absl::Status RefusalLocked(const Large& large)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  size_t small_bytes_max() const {
    return limits_.total_bytes_max / kSmallShare;
  }

  const Clock& clock_;
  const Limits limits_;
  std::atomic<size_t> small_{0};
  std::atomic<size_t> waiting_{0};
  SharedCell connection_refused_;
  SharedCell total_refused_;
  TenantTally tenant_refused_;

  mutable Mutex mu_;
  size_t large_ ABSL_GUARDED_BY(mu_) = 0;
  // Those that hold claims, or wait. Several may share the empty name.
  std::map<std::string, Connection> connections_ ABSL_GUARDED_BY(mu_);
  uint64_t last_grant_ ABSL_GUARDED_BY(mu_) = 0;
  Instant review_at_ ABSL_GUARDED_BY(mu_);
  // What large claims come to, by tenant.
  std::map<std::string, size_t> tenants_ ABSL_GUARDED_BY(mu_);
  std::list<Large> held_ ABSL_GUARDED_BY(mu_);  // The oldest first.
  std::multimap<Turn, Connection*> line_ ABSL_GUARDED_BY(mu_);
};

// Claimed bytes, given back when the claim is destroyed or released.
class ByteBudget::Claim {
 public:
  Claim() = default;
  ~Claim() { Release(); }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

  // The number of claimed bytes; 0 while the claim waits.
  size_t bytes() const { return bytes_.load(std::memory_order_acquire); }
  // Gives them back, or stops waiting. Idempotent.
  void Release() {
    if (budget_ != nullptr) budget_->Release(*this);
  }

 private:
  friend class ByteBudget;

  ByteBudget* budget_ = nullptr;  // Null: it is empty.
  std::atomic<size_t> bytes_{0};
  bool large_ = false;
  // Guarded by the budget's lock: its place among those that hold or wait.
  bool waits_ = false;
  std::list<Large>::iterator place_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_BYTE_BUDGET_H_
