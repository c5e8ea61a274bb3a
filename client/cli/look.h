// Look: how output is to look: for a person at a terminal, or as it is, for
// whoever reads its lines.
//
// Thread-safety: values.
#ifndef LEASEHOLD_CLIENT_CLI_LOOK_H_
#define LEASEHOLD_CLIENT_CLI_LOOK_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace leasehold::client::cli {

struct Look {
  // Columns of the terminal that each line has to fit into; 0: there is no
  // limit, and nothing is cut.
  size_t columns = 0;
  // `2m ago` instead of the whole time.
  bool relative_times = false;
  bool colors = false;
  // The present time.
  absl::Time now = absl::UnixEpoch();
};

// RFC 3339 in UTC, always with milliseconds: 2024-10-04T17:46:40.000Z.
std::string TimeText(absl::Time time);
// The same, or `2m ago` and `in 5s` if the look is so.
std::string TimeText(absl::Time time, const Look& look);
// `2m ago`, `in 5s`, `now`; the date if it is more than 99 days away.
std::string RelativeTime(absl::Time time, absl::Time now);

// `text` in the color of the state `state`, if there is one and the look has
// colors: red for what has failed, yellow for what is held up or ends, green
// for what has completed, cyan for what goes on.
std::string Colored(std::string_view text, std::string_view state,
                    const Look& look);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_LOOK_H_
