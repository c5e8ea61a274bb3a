// The values of options of `leasehold orchestration …`.
//
// Thread-safety: safe.   Lifetime: no state; the targets of AddFilter outlive
// the parser.
#ifndef LEASEHOLD_CLIENT_CLI_ORCHESTRATION_VALUES_H_
#define LEASEHOLD_CLIENT_CLI_ORCHESTRATION_VALUES_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/orchestrations/orchestration_client.h"

namespace leasehold::client::cli {

// A point in time, or a duration from the moment at which the command runs.
class Moment {
 public:
  Moment() = default;
  explicit Moment(absl::Time time) : when_(time) {}
  explicit Moment(absl::Duration from_now) : when_(from_now) {}

  absl::Time At(absl::Time now) const {
    const auto* time = std::get_if<absl::Time>(&when_);
    return time != nullptr ? *time : now + std::get<absl::Duration>(when_);
  }

 private:
  std::variant<absl::Time, absl::Duration> when_;
};

// RFC 3339, as in 2024-10-04T17:46:40Z; or from now, as in +30s or -1h.
absl::StatusOr<Moment> ReadMoment(const std::string& text);
// `pending`, `running`, …, in upper or lower case.
absl::StatusOr<OrchestrationStatus> ReadStatus(const std::string& text);
// `fail`, `attach` or `terminate`.
absl::StatusOr<IfActive> ReadIfActive(const std::string& text);
// `fail`, `attach` or `replace`.
absl::StatusOr<IfFinished> ReadIfFinished(const std::string& text);
// `oldest` or `newest`.
absl::StatusOr<ListOrder> ReadOrder(const std::string& text);
// KEY=VALUE.
absl::StatusOr<std::pair<std::string, std::string>> ReadTag(
    const std::string& text);

// The options of a command that selects orchestrations.
struct FilterOptions {
  std::vector<OrchestrationStatus> statuses;
  std::string id_prefix;
  std::optional<Moment> created_from;
  std::optional<Moment> created_to;
  std::string name;
  std::vector<std::string> tags;

  // Whether any of them was given.
  bool any() const;
  OrchestrationFilter At(absl::Time now) const;
};
void AddFilter(CLI::App& app, FilterOptions& options);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ORCHESTRATION_VALUES_H_
