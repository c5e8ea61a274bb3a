// WatchScreen: the instance contexts of a server on a terminal, redrawn as they
// change.
//
// Fed by a watch's events; draws what fits, sorted by ID, and counts leases
// down between events.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_WATCH_SCREEN_H_
#define LEASEHOLD_CLIENT_CLI_WATCH_SCREEN_H_

#include <map>
#include <mutex>
#include <string>

#include "absl/time/time.h"
#include "client/instance.h"
#include "client/watch.h"

namespace leasehold::client::cli {

class WatchScreen {
 public:
  // Takes in an event that came at `now`.
  void Apply(const WatchEvent& event, absl::Time now);

  // What to write to a terminal of `rows` rows to show how it stands at `now`,
  // in the place of what was drawn before.
  std::string Draw(absl::Time now, int rows) const;

 private:
  struct Seen {
    Instance instance;
    absl::Time when;
  };

  mutable std::mutex mu_;
  std::map<std::string, Seen> seen_;
  // The latest event in words; empty: none worth telling.
  std::string latest_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_WATCH_SCREEN_H_
