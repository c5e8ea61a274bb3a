#include "service/http/dashboard_json.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/protobuf/util/json_util.h"
#include "lease/base/json.h"
#include "service/doors/instance_messages.h"
#include "service/doors/orchestration_messages.h"

namespace leasehold {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::json;

// The head of a long text, cut where a character begins.
json LongText(const std::string& text) {
  size_t end = kWholeTextMax;
  while (end > kWholeTextMax - 4 &&
         (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  return {{"$truncated", true},
          {"bytes", text.size()},
          {"head", text.substr(0, end)}};
}

json Text(const std::string& text) {
  return text.size() > kWholeTextMax ? LongText(text) : json(text);
}

json Time(const google::protobuf::Timestamp& time) {
  return TimeText(absl::FromUnixSeconds(time.seconds()) +
                  absl::Nanoseconds(time.nanos()));
}

// One value of a field: the only one, or the one at `index`.
class FieldValue {
 public:
  FieldValue(const Message& message, const FieldDescriptor& field)
      : message_(message), field_(field), of_(*message.GetReflection()) {}

  json At(int index) const {
    const bool many = field_.is_repeated();
    switch (field_.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return many ? of_.GetRepeatedInt32(message_, &field_, index)
                    : of_.GetInt32(message_, &field_);
      case FieldDescriptor::CPPTYPE_UINT32:
        return many ? of_.GetRepeatedUInt32(message_, &field_, index)
                    : of_.GetUInt32(message_, &field_);
      case FieldDescriptor::CPPTYPE_INT64:
        return absl::StrCat(many
                                ? of_.GetRepeatedInt64(message_, &field_, index)
                                : of_.GetInt64(message_, &field_));
      case FieldDescriptor::CPPTYPE_UINT64:
        return absl::StrCat(
            many ? of_.GetRepeatedUInt64(message_, &field_, index)
                 : of_.GetUInt64(message_, &field_));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return many ? of_.GetRepeatedDouble(message_, &field_, index)
                    : of_.GetDouble(message_, &field_);
      case FieldDescriptor::CPPTYPE_FLOAT:
        return many ? of_.GetRepeatedFloat(message_, &field_, index)
                    : of_.GetFloat(message_, &field_);
      case FieldDescriptor::CPPTYPE_BOOL:
        return many ? of_.GetRepeatedBool(message_, &field_, index)
                    : of_.GetBool(message_, &field_);
      case FieldDescriptor::CPPTYPE_ENUM:
        return (many ? of_.GetRepeatedEnum(message_, &field_, index)
                     : of_.GetEnum(message_, &field_))
            ->name();
      case FieldDescriptor::CPPTYPE_STRING:
        return Text(many ? of_.GetRepeatedString(message_, &field_, index)
                         : of_.GetString(message_, &field_));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return ToJson(many ? of_.GetRepeatedMessage(message_, &field_, index)
                           : of_.GetMessage(message_, &field_));
    }
    return nullptr;
  }

 private:
  const Message& message_;
  const FieldDescriptor& field_;
  const Reflection& of_;
};

// A map is a repeated message of keys and values.
void AddMap(const Message& message, const FieldDescriptor& field, int size,
            json& object) {
  json& map = object[field.name()] = json::object();
  const FieldDescriptor& key = *field.message_type()->map_key();
  const FieldDescriptor& value = *field.message_type()->map_value();
  for (int i = 0; i < size; ++i) {
    const Message& entry =
        message.GetReflection()->GetRepeatedMessage(message, &field, i);
    map[entry.GetReflection()->GetString(entry, &key)] =
        FieldValue(entry, value).At(0);
  }
}

bool IsOf(const FieldDescriptor& field,
          const google::protobuf::Descriptor& of) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field.message_type() == &of;
}

void AddField(const Message& message, const FieldDescriptor& field,
              json& object) {
  const Reflection& of = *message.GetReflection();
  if (field.is_repeated()) {
    const int size = of.FieldSize(message, &field);
    if (size == 0) return;
    if (field.is_map()) return AddMap(message, field, size, object);
    json& values = object[field.name()] = json::array();
    for (int i = 0; i < size; ++i) {
      values.push_back(FieldValue(message, field).At(i));
    }
    return;
  }
  if (field.has_presence() && !of.HasField(message, &field)) return;
  if (IsOf(field, *google::protobuf::Duration::descriptor())) {
    google::protobuf::Duration duration;
    duration.CopyFrom(of.GetMessage(message, &field));
    object[field.name() + "_ms"] =
        duration.seconds() * 1000 + duration.nanos() / 1'000'000;
    return;
  }
  json value = FieldValue(message, field).At(0);
  const bool is_empty_text = !field.has_presence() && value.is_string() &&
                             value.get_ref<const std::string&>().empty();
  if (!is_empty_text) object[field.name()] = std::move(value);
}

}  // namespace

json ToJson(const Message& message) {
  if (message.GetDescriptor() == google::protobuf::Timestamp::descriptor()) {
    google::protobuf::Timestamp time;
    time.CopyFrom(message);
    return Time(time);
  }
  json object = json::object();
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    AddField(message, *type.field(i), object);
  }
  return object;
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

int64_t MillisecondsOf(Instant instant) { return instant.ns / 1'000'000; }

json ToJson(const InstanceInfo& info, Instant now) {
  v1::Instance message;
  ToMessage(info, message);
  json object = ToJson(message);
  object.erase("lease_remaining_ms");
  if (info.lease_remaining.has_value()) {
    object["lease_deadline_ms"] = MillisecondsOf(now + *info.lease_remaining);
  }
  return object;
}

json ToJson(const OrchestrationInfo& info) {
  v1::OrchestrationState message;
  ToMessage(info, message);
  json object = ToJson(message);
  object.erase("heartbeat");  // Of streams over gRPC.
  return object;
}

json ToJson(const HistoryEvent& event) {
  v1::OrchestrationEvent message;
  ToMessage(event, message);
  json object = ToJson(message);
  const FieldDescriptor* const kind =
      message.GetReflection()->GetOneofFieldDescriptor(
          message, message.GetDescriptor()->FindOneofByName("event"));
  if (kind == nullptr) return object;
  const json happened = std::move(object[kind->name()]);
  object.erase(kind->name());
  object["event_id"] = std::move(object["id"]);
  object.erase("id");
  object.update(happened);
  object["kind"] = kind->name();
  return object;
}

absl::Status FromBody(const HttpRequest& request, Message& message) {
  if (request.body.empty()) return absl::OkStatus();
  const auto read = google::protobuf::util::JsonStringToMessage(
      request.body, &message, google::protobuf::util::JsonParseOptions());
  if (read.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the body must be a JSON object with members of ",
      message.GetDescriptor()->full_name(), ": ", std::string(read.message())));
}

HttpResponse Answer(int status, const json& body) {
  return JsonResponse(status, WriteJson(body));
}

}  // namespace leasehold
