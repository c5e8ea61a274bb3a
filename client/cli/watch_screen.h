// WatchScreen: shows the instance contexts of a server on a terminal, and
// redraws them as they change.
//
// It gets the events of a watch and the keys that are typed, draws as many
// contexts as fit, in the order that was asked for, and counts leases down
// between events.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_WATCH_SCREEN_H_
#define LEASEHOLD_CLIENT_CLI_WATCH_SCREEN_H_

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cli/instance_order.h"
#include "client/cli/look.h"
#include "client/cli/screen.h"
#include "client/instances/instance.h"
#include "client/instances/watch.h"

namespace leasehold::client::cli {

class WatchScreen {
 public:
  struct Options {
    InstanceOrder order = InstanceOrder::kId;
    // Only those in this state.
    std::optional<InstanceState> state;
  };

  explicit WatchScreen(const Options& options)
      : state_(options.state), order_(options.order) {}

  // Processes an event that came at `now`.
  void Apply(const WatchEvent& event, absl::Time now);
  // The server was lost: what is shown is how it was, until the next event.
  void Lose(const absl::Status& why);
  // A key that scrolls or sorts.
  void Press(Key key);

  // The text that shows the state at `look.now` on a terminal with this many
  // rows, in place of what was drawn before.
  std::string Draw(const Look& look, int rows);

 private:
  struct Seen {
    Instance instance;
    absl::Time when;
  };

  // Those to show, in their order, as they are at `now`.
  std::vector<Instance> Chosen(absl::Time now) const;

  const std::optional<InstanceState> state_;
  std::mutex mu_;
  std::map<std::string, Seen> seen_;
  // The latest event in words; empty if none is worth showing.
  std::string latest_;
  std::string lost_;  // Why; empty: the server is there.
  InstanceOrder order_;
  Scroll scroll_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_WATCH_SCREEN_H_
