#include "service/orchestration/bounds.h"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
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
  absl::Status operator()(const EntityOperationSignaled& signal) const {
    return FirstOf(CheckEntity(View(signal.target)),
                   CheckOperation(signal.operation, signal.request_id),
                   CheckSchedule(signal.scheduled));
  }
  absl::Status operator()(const EntityOperationCalled& call) const {
    return FirstOf(CheckEntity(View(call.target)),
                   CheckOperation(call.operation, call.request_id),
                   CheckSchedule(call.scheduled));
  }
  absl::Status operator()(const EntityLockRequested& lock) const {
    if (lock.position < 0 ||
        static_cast<size_t>(lock.position) >= lock.lock_set.size() ||
        lock.lock_set.size() > kLockSetMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "its lock set names ", lock.lock_set.size(),
          " entities, and its position is ", lock.position, "; 1 to ",
          kLockSetMax, " entities can be locked, from position 0 on"));
    }
    absl::Status status = CheckSize("its critical section ID",
                                    lock.section_id.size(), kRequestIdBytesMax);
    for (const std::string& entity : lock.lock_set) {
      status.Update(CheckEntity(entity));
    }
    return status;
  }
  absl::Status operator()(const EntityUnlockSent& unlock) const {
    return CheckEntity(View(unlock.target));
  }
  absl::Status operator()(const LegacyEntityMessage& legacy) const {
    if (!legacy.problem.empty()) {
      return absl::InvalidArgumentError(legacy.problem);
    }
    return FirstOf(CheckEntity(legacy.sent.instance_id),
                   std::visit(*this, legacy.message));
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
  static absl::Status CheckEntity(std::string_view id) {
    return CheckEntityId("its entity ID", id);
  }
  static absl::Status CheckOperation(const std::string& name,
                                     const std::string& request_id) {
    return FirstOf(
        CheckName("its operation", name),
        CheckSize("its request ID", request_id.size(), kRequestIdBytesMax));
  }
  static absl::Status CheckSchedule(const std::optional<Timestamp>& time) {
    if (!time.has_value()) return absl::OkStatus();
    return CheckTime("its scheduled time", *time);
  }
};

}  // namespace

size_t CountCharacters(std::string_view text) {
  // All bytes of a character but its first are continuation bytes.
  return std::count_if(text.begin(), text.end(), [](unsigned char byte) {
    return (byte & 0xc0) != 0x80;
  });
}

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

absl::Status CheckEntityId(std::string_view field, std::string_view id) {
  const absl::StatusOr<InstanceKey> key =
      MakeInstanceKey(/*tenant=*/{}, id, field);
  if (!key.ok()) return key.status();
  const size_t characters = CountCharacters(id);
  if (characters > kEntityIdCharactersMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        std::string(field), ": the length of the ID of an entity is ",
        characters, " characters; at most ", kEntityIdCharactersMax,
        " are allowed: ", QuoteForMessage(id)));
  }
  const size_t name_end = id.find('@', 1);
  if (id.front() == '@' && name_end != std::string_view::npos && name_end > 1) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(field), ": ", QuoteForMessage(id),
                   " is not the ID of an entity, which has the form "
                   "@name@key"));
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
