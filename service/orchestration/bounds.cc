#include "service/orchestration/bounds.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/turn.h"

namespace leasehold {
namespace {

std::string_view View(const Payload& payload) {
  return payload.has_value() ? std::string_view(*payload) : std::string_view();
}

// The first failure among several checks.
template <typename... Statuses>
absl::Status FirstOf(Statuses... statuses) {
  absl::Status first;
  (first.Update(std::move(statuses)), ...);
  return first;
}

struct ActionCheck {
  absl::Status operator()(const TaskScheduled& task) const {
    return FirstOf(CheckName("its name", task.name),
                   CheckVersion("its version", View(task.version)),
                   CheckTags("its tags", task.tags));
  }
  absl::Status operator()(const SubOrchestrationCreated& child) const {
    return FirstOf(CheckId(child.instance_id),
                   CheckName("its name", child.name),
                   CheckVersion("its version", View(child.version)),
                   CheckTags("its tags", child.tags));
  }
  absl::Status operator()(const TimerCreated& timer) const {
    return CheckTime("its time to fire", timer.fire_at);
  }
  absl::Status operator()(const EventSent& sent) const {
    return FirstOf(CheckId(sent.instance_id), CheckName("its name", sent.name));
  }
  absl::Status operator()(const TerminateOther& other) const {
    return CheckId(other.instance_id);
  }
  absl::Status operator()(const CompleteExecution& completion) const {
    return CheckVersion("its new version", View(completion.new_version));
  }
  absl::Status operator()(const auto&) const { return absl::OkStatus(); }

  static absl::Status CheckId(const std::string& id) {
    return CheckSize("its instance ID", id.size(), kNamedIdBytesMax);
  }
};

}  // namespace

absl::Status CheckSize(std::string_view field, size_t bytes, size_t bytes_max) {
  if (bytes <= bytes_max) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": has ",
                                                 bytes, " bytes; at most ",
                                                 bytes_max, " are allowed"));
}

absl::Status CheckTags(std::string_view field, const StringMap& tags) {
  if (tags.size() > kTagsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(field), ": there are ", tags.size(),
                     "; at most ", kTagsMax, " are allowed"));
  }
  for (const auto& [key, value] : tags) {
    if (key.size() > kTagKeyBytesMax) {
      return CheckSize(absl::StrCat(std::string(field), ": a key"), key.size(),
                       kTagKeyBytesMax);
    }
    if (value.size() > kTagValueBytesMax) {
      return CheckSize(absl::StrCat(std::string(field), ": the value of ",
                                    QuoteForMessage(key)),
                       value.size(), kTagValueBytesMax);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTime(std::string_view field, const Timestamp& time) {
  constexpr int64_t kSecondsMin = -62'135'596'800;
  constexpr int64_t kSecondsMax = 253'402'300'799;
  if (time.seconds >= kSecondsMin && time.seconds <= kSecondsMax &&
      time.nanos >= 0 && time.nanos <= 999'999'999) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      std::string(field), ": is not a time of the years 1 to 9999: ",
      time.seconds, " s ", time.nanos, " ns"));
}

absl::Status CheckAnswer(const TurnAnswer& answer) {
  for (const OrchestratorAction& action : answer.actions) {
    const absl::Status status = std::visit(ActionCheck{}, action.what);
    if (status.ok()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "action ", action.id, ": ", std::string(status.message())));
  }
  return absl::OkStatus();
}

}  // namespace leasehold
