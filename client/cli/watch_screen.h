// WatchScreen: shows the instance contexts of a server on a terminal, and
// redraws them as they change.
//
// It gets the events of a watch, draws as many contexts as fit, sorted by ID,
// and counts leases down between events.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_WATCH_SCREEN_H_
#define LEASEHOLD_CLIENT_CLI_WATCH_SCREEN_H_

#include <map>
#include <mutex>
#include <string>

#include "absl/time/time.h"
#include "client/instances/instance.h"
#include "client/instances/watch.h"

namespace leasehold::client::cli {

class WatchScreen {
 public:
  // Processes an event that came at `now`.
  void Apply(const WatchEvent& event, absl::Time now);

  // The text that shows the state at `now` on a terminal with this many rows
  // and columns, in place of what was drawn before. A long ID is cut so that
  // the rest of its line fits.
  std::string Draw(absl::Time now, int rows, int columns) const;

 private:
  struct Seen {
    Instance instance;
    absl::Time when;
  };

  mutable std::mutex mu_;
  std::map<std::string, Seen> seen_;
  // The latest event in words; empty if none is worth showing.
  std::string latest_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_WATCH_SCREEN_H_
