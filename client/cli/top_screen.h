// TopScreen: what `leasehold top` shows of a server: its load, contexts,
// orchestrations, workers and commits, and the leases that end next.
//
// It gets the numbers that the server counts, one reading after the other, and
// shows the last one; what is shown a second is what two readings differ by.
// What a reading does not have (it may be of one tenant alone) is not shown.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_TOP_SCREEN_H_
#define LEASEHOLD_CLIENT_CLI_TOP_SCREEN_H_

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cli/instance_order.h"
#include "client/cli/json_object.h"
#include "client/cli/screen.h"
#include "client/instances/instance.h"
#include "leasehold/v1/admin.pb.h"

namespace leasehold::client::cli {

// The idle contexts whose leases run.
struct EndingLeases {
  std::vector<Instance> instances;
  // How many contexts were looked at, and whether there are more.
  size_t looked_at = 0;
  bool more = false;
};

class TopScreen {
 public:
  // `server`: what it is called.
  explicit TopScreen(std::string server,
                     InstanceOrder order = InstanceOrder::kLease)
      : server_(std::move(server)), order_(order) {}

  // A new reading, and the leases beside it.
  void Apply(leasehold::v1::StatsResponse stats, EndingLeases leases);
  // There is none now; the last one is shown with the reason, until the next.
  void Fail(const absl::Status& why);

  // A key that scrolls the leases or sorts them.
  void Press(Key key);

  // The lines to show, none wider than `columns`, with `leases_max` leases.
  std::vector<std::string> Lines(size_t columns, size_t leases_max) const;
  // The text that shows as much of this as fits on a terminal, in place of what
  // was drawn before.
  std::string Draw(int rows, int columns);
  JsonObject Json(size_t leases_max) const;

 private:
  using Labels = std::map<std::string, std::string>;
  using Stats = leasehold::v1::StatsResponse;

  // The sum of all samples of a metric with these labels, in the last reading;
  // nullopt: it does not have the metric.
  std::optional<double> Sum(const char* name, const Labels& labels = {}) const;
  // By how much it has grown a second since the reading before; nullopt: that
  // is not known.
  std::optional<double> Rate(const char* name, const Labels& labels = {}) const;
  // How many values a histogram has counted, and their mean, in the same time.
  struct Growth {
    double count_per_second = 0;
    double mean = 0;
  };
  std::optional<Growth> GrowthOf(const char* name) const;
  absl::Time time() const;

  void AddServerLines(std::vector<std::string>& lines) const;
  void AddTenantLines(std::vector<std::string>& lines) const;
  // All but the leases.
  std::vector<std::string> Numbers() const;
  // What stands above the leases, of which so many are shown from `first` on.
  std::string LeasesTitle(size_t first, size_t shown) const;
  void AddLeases(size_t columns, size_t first, size_t most,
                 std::vector<std::string>& lines) const;

  const std::string server_;
  mutable std::mutex mu_;
  std::optional<Stats> last_;
  std::optional<Stats> before_;
  EndingLeases leases_;
  std::string failure_;  // Empty: the last reading is the latest.
  InstanceOrder order_;
  Scroll scroll_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_TOP_SCREEN_H_
