#include "client/cli/watch_screen.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/display_width.h"
#include "client/cli/instance_view.h"
#include "client/cli/printable.h"
#include "client/cli/screen_codes.h"
#include "client/cli/table.h"

namespace leasehold::client::cli {
namespace {

// Lines without an instance: count, latest event, heading, the cursor's.
constexpr int kOtherLines = 4;

}  // namespace

void WatchScreen::Apply(const WatchEvent& event, absl::Time now) {
  using Kind = WatchEvent::Kind;
  const std::string& id = event.instance.instance_id;
  std::lock_guard<std::mutex> lock(mu_);
  switch (event.kind) {
    case Kind::kSnapshotDone:
      return;
    case Kind::kLagged:
      seen_.clear();
      latest_ = "events were lost; a new snapshot follows";
      return;
    case Kind::kClosed: {
      const auto found = seen_.find(id);
      if (found != seen_.end() &&
          found->second.instance.generation == event.instance.generation) {
        seen_.erase(found);
      }
      break;
    }
    default:
      if (id.empty()) return;
      seen_[id] = {event.instance, now};
      break;
  }
  if (event.kind == Kind::kSnapshot) return;
  latest_ = absl::StrCat(WatchEventName(event.kind), " ",
                         CutToWidth(Printable(id), kCellWidthMax));
  if (!event.reason.empty()) {
    absl::StrAppend(&latest_, " (", Printable(event.reason), ")");
  }
}

std::string WatchScreen::Draw(absl::Time now, int rows, int columns) const {
  const size_t fit = std::max(rows - kOtherLines, 1);
  std::vector<Table::Row> shown;
  std::string text;
  {
    std::lock_guard<std::mutex> lock(mu_);
    for (const auto& [id, seen] : seen_) {
      if (shown.size() == fit) break;
      Instance instance = seen.instance;
      if (instance.lease_remaining.has_value()) {
        *instance.lease_remaining -= now - seen.when;
      }
      shown.push_back(InstanceRow(instance, now));
    }
    text = absl::StrCat(seen_.size(),
                        seen_.size() == 1 ? " instance" : " instances");
    if (shown.size() < seen_.size()) {
      absl::StrAppend(&text, ", the first ", shown.size(), " of them");
    }
    absl::StrAppend(&text, "\n", latest_, "\n");
  }
  text += Table(InstanceHeading(), static_cast<size_t>(std::max(columns, 1)))
              .Lines(std::move(shown));
  text.pop_back();  // The last line ends like the others below.
  std::string drawn = kHome;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    absl::StrAppend(&drawn, line, kClearLine, "\n");
  }
  return absl::StrCat(drawn, kClearBelow, kWrapAgain);
}

}  // namespace leasehold::client::cli
