#include "client/cli/entity_view.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "client/cli/output.h"
#include "client/cli/paragraph.h"
#include "client/cli/printable.h"

namespace leasehold::client::cli {
namespace {

std::string TimeIfAny(const std::optional<absl::Time>& time) {
  return time.has_value() ? TimeText(*time) : "";
}

std::string HolderOf(const EntityInfo& info) {
  return info.lock.has_value() ? Printable(info.lock->holder) : "";
}

std::string BriefState(const EntityInfo& info) {
  return info.state.has_value() ? Brief(*info.state, kBriefBytes) : "";
}

}  // namespace

Table::Row EntityHeading() {
  return {"INSTANCE", "UPDATED", "WAITING", "LOCKED BY", "STATE"};
}

Table::Row EntityRow(const EntityInfo& info) {
  return {Printable(info.instance_id), TimeIfAny(info.update_time),
          absl::StrCat(info.waiting_count), HolderOf(info), BriefState(info)};
}

std::string EntityText(const EntityInfo& info) {
  Paragraph lines;
  lines.Add("Instance", info.instance_id);
  lines.Add("Exists", info.exists ? "yes" : "no");
  lines.AddIfAny("Updated", info.update_time);
  lines.Add("Waiting", absl::StrCat(info.waiting_count));
  lines.AddIfAny("Waiting for", info.waiting_for);
  if (info.lock.has_value()) {
    lines.Add("Locked by", info.lock->holder);
    lines.Add("Section", info.lock->section_id);
    lines.Add("Locked since", TimeText(info.lock->lock_time));
    lines.AddIfAny("Locked until", info.lock->expire_time);
  }
  lines.AddIfAny("State", info.state);
  return lines.text();
}

JsonObject EntityJson(const EntityInfo& info) {
  JsonObject object;
  object.Text("instance_id", info.instance_id)
      .Flag("exists", info.exists)
      .TextIfAny("state", info.state)
      .TimeIfAny("update_time", info.update_time)
      .Number("waiting_count", info.waiting_count)
      .TextIfAny("waiting_for", info.waiting_for);
  if (info.lock.has_value()) {
    JsonObject lock;
    lock.Text("holder", info.lock->holder)
        .Text("section_id", info.lock->section_id)
        .Time("lock_time", info.lock->lock_time)
        .TimeIfAny("expire_time", info.lock->expire_time);
    object.Object("lock", lock);
  }
  return object;
}

Table::Row EntityChangeHeading() {
  // As wide as the widest value, since rows are written one by one.
  return {"UPDATED                 ", "EXISTS", "LOCKED BY", "STATE"};
}

Table::Row EntityChangeRow(const EntityInfo& info) {
  return {TimeIfAny(info.update_time), info.exists ? "yes" : "no",
          HolderOf(info), BriefState(info)};
}

}  // namespace leasehold::client::cli
