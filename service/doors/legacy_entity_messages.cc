#include "service/doors/legacy_entity_messages.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/orchestration/orchestration_info.h"

namespace leasehold {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

const Value* Find(const Struct& object, const std::string& name) {
  const auto found = object.fields().find(name);
  if (found == object.fields().end() ||
      found->second.kind_case() == Value::kNullValue) {
    return nullptr;
  }
  return &found->second;
}

// Text, or nullopt if there is none. InvalidArgument: it is something else.
absl::StatusOr<Payload> Text(const Struct& object, const std::string& name) {
  const Value* value = Find(object, name);
  if (value == nullptr) return Payload();
  if (value->kind_case() == Value::kStringValue) {
    return Payload(value->string_value());
  }
  return absl::InvalidArgumentError(absl::StrCat(name, " is not text"));
}

absl::StatusOr<std::string> RequiredText(const Struct& object,
                                         const std::string& name) {
  absl::StatusOr<Payload> text = Text(object, name);
  if (!text.ok()) return text.status();
  if (text->has_value() && !(*text)->empty()) return **text;
  return absl::InvalidArgumentError(absl::StrCat(name, " is missing"));
}

// Of no text there is no time.
absl::StatusOr<std::optional<Timestamp>> Time(const Payload& text) {
  if (!text.has_value() || text->empty()) return std::optional<Timestamp>();
  absl::Time time;
  // .NET leaves the zone out if it does not know it; then it is UTC.
  for (const std::string& form : {*text, *text + "Z"}) {
    if (absl::ParseTime(absl::RFC3339_full, form, &time, nullptr)) {
      return std::optional<Timestamp>(ToTimestamp(time));
    }
  }
  return absl::InvalidArgumentError(
      "due is no time such as "
      "2030-01-31T12:00:00Z");
}

absl::Status ReadOperation(const Struct& data, const EventSent& sent,
                           std::string operation, std::string request_id,
                           LegacyEntityMessage& message) {
  absl::StatusOr<Payload> input = Text(data, "input");
  if (!input.ok()) return input.status();
  absl::StatusOr<Payload> due = Text(data, "due");
  if (!due.ok()) return due.status();
  if (!due->has_value() && absl::StartsWith(sent.name, "op@")) {
    due = sent.name.substr(3);
  }
  absl::StatusOr<std::optional<Timestamp>> scheduled = Time(*due);
  if (!scheduled.ok()) return scheduled.status();
  const Value* signal = Find(data, "signal");
  if (signal != nullptr && signal->bool_value()) {
    message.message = EntityOperationSignaled{
        std::move(request_id), std::move(operation), *scheduled,
        *std::move(input), sent.instance_id};
    return absl::OkStatus();
  }
  EntityOperationCalled call{.request_id = std::move(request_id),
                             .operation = std::move(operation),
                             .scheduled = *scheduled,
                             .input = *std::move(input)};
  call.target = sent.instance_id;
  call.legacy = true;
  message.message = std::move(call);
  return absl::OkStatus();
}

absl::Status ReadLock(const Struct& data, std::string section_id,
                      LegacyEntityMessage& message) {
  EntityLockRequested lock;
  lock.section_id = std::move(section_id);
  lock.legacy = true;
  const Value* set = Find(data, "lockset");
  if (set == nullptr || set->kind_case() != Value::kListValue) {
    return absl::InvalidArgumentError("it has neither op nor lockset");
  }
  for (const Value& entity : set->list_value().values()) {
    absl::StatusOr<std::string> name =
        RequiredText(entity.struct_value(), "name");
    if (!name.ok()) return name.status();
    absl::StatusOr<Payload> key = Text(entity.struct_value(), "key");
    if (!key.ok()) return key.status();
    lock.lock_set.push_back(absl::StrCat("@", *name, "@", key->value_or("")));
  }
  if (const Value* position = Find(data, "pos")) {
    const double number = position->number_value();
    // What is no position in the set is refused later.
    lock.position =
        number >= 0 && number < 1'000'000 ? static_cast<int32_t>(number) : -1;
  }
  message.message = std::move(lock);
  return absl::OkStatus();
}

absl::Status Read(const EventSent& sent, LegacyEntityMessage& message) {
  Struct data;
  const auto parsed = google::protobuf::util::JsonStringToMessage(
      sent.input.value_or(""), &data);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError("its data is no JSON object");
  }
  absl::StatusOr<std::string> id = RequiredText(data, "id");
  if (!id.ok()) return id.status();
  if (sent.name == "release") {
    message.message = EntityUnlockSent{*std::move(id), {}, sent.instance_id};
    return absl::OkStatus();
  }
  if (sent.name != "op" && !absl::StartsWith(sent.name, "op@")) {
    return absl::InvalidArgumentError("its name is neither op nor release");
  }
  absl::StatusOr<Payload> operation = Text(data, "op");
  if (!operation.ok()) return operation.status();
  if (!operation->has_value()) {
    return ReadLock(data, *std::move(id), message);
  }
  return ReadOperation(data, sent, **operation, *std::move(id), message);
}

}  // namespace

LegacyEntityMessage ReadLegacyMessage(EventSent sent) {
  LegacyEntityMessage message;
  const absl::Status status = Read(sent, message);
  if (!status.ok()) {
    message.problem = absl::StrCat(
        "an event to an entity must be a message that entities "
        "know; ",
        status.message());
  }
  message.sent = std::move(sent);
  return message;
}

}  // namespace leasehold
