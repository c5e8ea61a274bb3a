#include "client/cli/watch_screen.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/display_width.h"
#include "client/cli/error_text.h"
#include "client/cli/instance_view.h"
#include "client/cli/printable.h"
#include "client/cli/table.h"

namespace leasehold::client::cli {
namespace {

// Lines without an instance: count, latest event, heading, keys, the cursor's.
constexpr int kOtherLines = 5;

}  // namespace

void WatchScreen::Apply(const WatchEvent& event, absl::Time now) {
  using Kind = WatchEvent::Kind;
  const std::string& id = event.instance.instance_id;
  std::lock_guard<std::mutex> lock(mu_);
  lost_.clear();
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

void WatchScreen::Lose(const absl::Status& why) {
  std::lock_guard<std::mutex> lock(mu_);
  lost_ = absl::StrCat("connection lost, reconnecting: ",
                       Printable(InPlainWords(why)));
}

void WatchScreen::Press(Key key) {
  std::lock_guard<std::mutex> lock(mu_);
  if (key == Key::kSort) order_ = NextInstanceOrder(order_);
  scroll_.Press(key);
}

std::vector<Instance> WatchScreen::Chosen(absl::Time now) const {
  std::vector<Instance> chosen;
  for (const auto& [id, seen] : seen_) {
    if (state_.has_value() && seen.instance.state != *state_) continue;
    chosen.push_back(seen.instance);
    if (chosen.back().lease_remaining.has_value()) {
      *chosen.back().lease_remaining -= now - seen.when;
    }
  }
  SortInstances(chosen, order_);
  return chosen;
}

std::string WatchScreen::Draw(const Look& look, int rows) {
  const size_t fit = std::max(rows - kOtherLines, 1);
  std::lock_guard<std::mutex> lock(mu_);
  const std::vector<Instance> chosen = Chosen(look.now);
  const size_t first = scroll_.First(chosen.size(), fit);
  std::vector<Table::Row> shown;
  for (size_t i = first; i < chosen.size() && shown.size() < fit; ++i) {
    shown.push_back(InstanceRow(chosen[i], look.now));
  }
  std::string count = absl::StrCat(
      chosen.size(), chosen.size() == 1 ? " instance" : " instances");
  if (shown.size() < chosen.size()) {
    absl::StrAppend(&count, ", ", first + 1, " to ", first + shown.size(),
                    " of them");
  }
  std::vector<std::string> lines = {count, lost_.empty() ? latest_ : lost_};
  const std::string table =
      Table(InstanceHeading(), look).Lines(std::move(shown));
  for (const auto line : absl::StrSplit(table, '\n', absl::SkipEmpty())) {
    lines.emplace_back(line);
  }
  lines.push_back(absl::StrCat("q ends it, s sorts (by ",
                               InstanceOrderName(order_),
                               "), arrows and PgUp, PgDn scroll"));
  if (look.columns > 0) {
    for (const size_t i : {size_t{0}, size_t{1}, lines.size() - 1}) {
      lines[i] = CutToWidth(lines[i], look.columns);
    }
  }
  return Screen::Text(lines, rows);
}

}  // namespace leasehold::client::cli
