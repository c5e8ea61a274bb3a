// HeartbeatTimer: tells streams that they have been silent for too long.
//
// Proxies end a stream that carries no data for a minute or less, even if its
// connection carries pings. So one of our streams that has had nothing to say
// for its interval sends an empty message. The silence of a stream is a lease:
// each message renews it with one atomic store, and one thread serves all
// streams.
//
// Thread-safety: safe.   Lifetime: the clock outlives it; it outlives the calls
// of the runtime that it is given to.
#ifndef LEASEHOLD_SERVICE_RPC_HEARTBEAT_H_
#define LEASEHOLD_SERVICE_RPC_HEARTBEAT_H_

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lease/clock.h"
#include "lease/lease.h"
#include "lease/lease_manager.h"

namespace leasehold {

inline constexpr absl::Duration kHeartbeatInterval = absl::Seconds(20);
// A shorter interval would flood the connection.
inline constexpr absl::Duration kHeartbeatIntervalMin = absl::Milliseconds(100);

// The silence of one stream.
class Silence : private Lease {
 protected:
  ~Silence() = default;

 private:
  friend class HeartbeatTimer;

  // The silence has lasted for its interval. Called on the timer's thread; must
  // not block. The silence is not timed again until the next Await.
  virtual void OnQuiet() = 0;
};

class HeartbeatTimer final : private LeaseListener {
 public:
  // `interval`: for streams whose caller does not ask for one.
  HeartbeatTimer(Clock& clock, absl::Duration interval)
      : clock_(clock), interval_(interval), leases_(clock, *this) {}
  // REQUIRES: no silence is awaited.
  ~HeartbeatTimer() override { leases_.Stop(); }

  // Starts the thread. Without the thread, silences end when RunDue is called.
  void Start() { leases_.Start(); }
  size_t RunDue() { return leases_.RunDue(); }

  absl::Duration interval() const { return interval_; }
  // The interval that a request asks for with the value of its header, kept
  // within the limits: a request can only shorten the interval.
  //   InvalidArgument: the value is not a duration.
  absl::StatusOr<absl::Duration> Asked(std::string_view value) const;

  // Calls `silence` when it has lasted for `interval` from now.
  void Await(Silence& silence, absl::Duration interval) {
    silence.Renew(clock_.Now());
    leases_.Grant(silence, interval);
  }
  // A message was sent: the silence starts again.
  void Break(Silence& silence) { silence.Renew(clock_.Now()); }
  // False: the silence is not awaited, or OnQuiet is about to be called.
  [[nodiscard]] bool Forget(Silence& silence) {
    return leases_.Revoke(silence);
  }

 private:
  void OnLeasesOver(absl::Span<Lease* const> leases) override;

  Clock& clock_;
  const absl::Duration interval_;
  LeaseManager leases_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_HEARTBEAT_H_
