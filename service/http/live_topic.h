// LiveTopic: something that viewers of the dashboard follow, such as the
// contexts with a prefix, or one orchestration. However many follow it, it is
// looked at once for all of them.
//
// Thread-safety: Look belongs to one thread, the one that looks.   Lifetime:
// what it looks at outlives it.
#ifndef LEASEHOLD_SERVICE_HTTP_LIVE_TOPIC_H_
#define LEASEHOLD_SERVICE_HTTP_LIVE_TOPIC_H_

#include <algorithm>
#include <string>

#include "absl/time/time.h"
#include "lease/clock.h"

namespace leasehold {

class LiveTopic {
 public:
  // Messages of the stream, as ServerSentEvent makes them. Empty: none.
  struct News {
    std::string snapshot;  // Everything: for those who have nothing yet.
    std::string change;    // What has changed, for the others.
  };

  virtual ~LiveTopic() = default;

  // Looks at what it is about. `snapshot`: somebody needs one. May take some
  // time, and is called again at `next`, which it sets, or earlier.
  virtual News Look(Instant now, bool snapshot, Instant& next) = 0;
};

// The pause after a look that took so long: with very many things to look at it
// is done less often, so that it takes a twentieth of the time at most.
inline absl::Duration PauseAfter(absl::Duration look, absl::Duration pause) {
  constexpr int kPauseRatio = 19;
  return std::max(pause, look * kPauseRatio);
}

// `event: NAME`, `data: DATA`. `data` has no line breaks, as JSON has none.
std::string ServerSentEvent(const std::string& name, const std::string& data);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_LIVE_TOPIC_H_
