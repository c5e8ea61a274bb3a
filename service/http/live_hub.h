// LiveHub: the streams of server-sent events of the dashboard.
//
// One thread looks at all topics, at most four times a second, and writes each
// message once, for all streams that follow the topic. While there are no
// streams it sleeps, and nothing is looked at.
//
// A stream whose client reads slowly holds kQueueMax bytes at most behind the
// message that it reads (a snapshot may be longer), and those of a tenant
// kTenantQueueMax together: beyond that it loses them, is told `lagged`, and
// gets a new snapshot.
//
// Whether the viewer may still see it is asked every kAskAgain.
//
// Thread-safety: safe.   Lifetime: the clock outlives it. Bodies may outlive
// it; they then end.
#ifndef LEASEHOLD_SERVICE_HTTP_LIVE_HUB_H_
#define LEASEHOLD_SERVICE_HTTP_LIVE_HUB_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/http/http_message.h"
#include "service/http/live_topic.h"

namespace leasehold {

class LiveHub {
 public:
  static constexpr size_t kQueueMax = size_t{256} << 10;
  static constexpr size_t kTenantQueueMax = size_t{16} << 20;
  // What a client is given at once.
  static constexpr size_t kPartMax = size_t{64} << 10;
  static constexpr absl::Duration kAskAgain = absl::Seconds(2);

  // Streams of the same `name` follow the same topic; the first one has it
  // made.
  struct Followed {
    std::string name;
    std::function<std::unique_ptr<LiveTopic>()> make;
  };

  explicit LiveHub(Clock& clock);
  // Stops, if Stop was not called.
  ~LiveHub();
  LiveHub(const LiveHub&) = delete;
  LiveHub& operator=(const LiveHub&) = delete;

  // Starts the thread that looks. Without it, topics are looked at by LookNow.
  void Start();
  // Ends all streams, and destroys all topics. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(state_->mu);

  struct Viewer {
    std::string tenant = {};
    // The stream ends after it or a little later.
    absl::Duration lifetime = absl::InfiniteDuration();
    // Whether it may go on. Called without a lock. Empty: it may.
    std::function<bool()> may_still = {};
  };

  // The body of a new stream.
  std::unique_ptr<HttpBody> Follow(std::vector<Followed> topics, Viewer viewer)
      ABSL_LOCKS_EXCLUDED(state_->mu);

  // Looks at what is due. Returns when to look again.
  Instant LookNow() ABSL_LOCKS_EXCLUDED(state_->mu);
  size_t topics() const ABSL_LOCKS_EXCLUDED(state_->mu);
  // How many bytes the streams of a tenant hold.
  size_t UnreadOf(const std::string& tenant) const
      ABSL_LOCKS_EXCLUDED(state_->mu);

 private:
  class Body;
  class Handing;
  struct Stream;
  struct Topic;
  // Shared with the bodies.
  struct State {
    Mutex mu;
    CondVar wake;
    bool stopping ABSL_GUARDED_BY(mu) = false;
    bool changed ABSL_GUARDED_BY(mu) = false;  // A stream came or went.
    std::map<std::string, std::shared_ptr<Topic>> topics ABSL_GUARDED_BY(mu);
    std::vector<std::shared_ptr<Stream>> streams ABSL_GUARDED_BY(mu);
    // By tenant: how many bytes its streams hold.
    std::map<std::string, std::shared_ptr<size_t>> unread ABSL_GUARDED_BY(mu);
  };

  void Run() ABSL_LOCKS_EXCLUDED(state_->mu);
  // Sends what is new of a topic to those who follow it.
  void Send(const Topic& topic, const LiveTopic::News& news)
      ABSL_LOCKS_EXCLUDED(state_->mu);
  // Ends streams that their viewers may not have any more.
  void AskAgain(Instant now) ABSL_LOCKS_EXCLUDED(state_->mu);
  // Tells silent streams that all is well, and ends those whose time is over.
  void SendHeartbeats(Instant now) ABSL_LOCKS_EXCLUDED(state_->mu);
  // Takes the streams that have ended out, and the topics that nobody follows.
  std::vector<std::shared_ptr<Topic>> TakeOutEnded()
      ABSL_LOCKS_EXCLUDED(state_->mu);

  Clock& clock_;
  const std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_LIVE_HUB_H_
