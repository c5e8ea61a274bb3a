#include "client/cli/entity_view.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "client/cli/output.h"
#include "client/cli/paragraph.h"
#include "client/cli/printable.h"

namespace leasehold::client::cli {
namespace {

std::string TimeIfAny(const std::optional<absl::Time>& time, const Look& look) {
  return time.has_value() ? TimeText(*time, look) : "";
}

std::string HolderOf(const EntityInfo& info) {
  return info.lock.has_value() ? Printable(info.lock->holder) : "";
}

std::string BriefState(const EntityInfo& info) {
  return info.state.has_value() ? Brief(*info.state, kBriefBytes) : "";
}

}  // namespace

Table::Heading EntityHeading() {
  return {{"INSTANCE", Column::Kind::kId},
          "UPDATED",
          "WAITING",
          {"LOCKED BY", Column::Kind::kId},
          {"STATE", Column::Kind::kText}};
}

Table::Row EntityRow(const EntityInfo& info, const Look& look) {
  return {Printable(info.instance_id), TimeIfAny(info.update_time, look),
          absl::StrCat(info.waiting_count), HolderOf(info), BriefState(info)};
}

std::string EntityText(const EntityInfo& info, const Look& look) {
  Paragraph lines(look);
  lines.Add("Instance", info.instance_id);
  lines.Add("Exists", info.exists ? "yes" : "no");
  lines.AddIfAny("Updated", info.update_time);
  lines.Add("Waiting", absl::StrCat(info.waiting_count));
  lines.AddIfAny("Waiting for", info.waiting_for);
  if (info.lock.has_value()) {
    lines.Add("Locked by", info.lock->holder);
    lines.Add("Section", info.lock->section_id);
    lines.AddTime("Locked since", info.lock->lock_time);
    lines.AddIfAny("Locked until", info.lock->expire_time);
  }
  lines.AddIfAny("State", info.state);
  return lines.text();
}

JsonObject EntityJson(const EntityInfo& info, Payloads payloads) {
  JsonObject object;
  object.Text("instance_id", info.instance_id)
      .Flag("exists", info.exists)
      .PayloadIfAny("state", info.state, payloads)
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

Table::Heading EntityChangeHeading() {
  // As wide as the widest value, since rows are written one by one.
  return {"UPDATED                 ",
          "EXISTS",
          {"LOCKED BY", Column::Kind::kId},
          {"STATE", Column::Kind::kText}};
}

Table::Row EntityChangeRow(const EntityInfo& info) {
  // The whole time: rows stay there while time passes.
  return {TimeIfAny(info.update_time, {}), info.exists ? "yes" : "no",
          HolderOf(info), BriefState(info)};
}

}  // namespace leasehold::client::cli
