#include "client/testing/exported_history.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "lease/base/json.h"
#include "nlohmann/json.hpp"

namespace leasehold::testkit {
namespace {

using ::HistoryEvent;
using nlohmann::json;

constexpr char kFormat[] = "leasehold.history.v1";

// Something in a line is not as it should be.
class BadLine : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

std::string Text(const json& line, const char* name) {
  const auto found = line.find(name);
  if (found == line.end()) return "";
  if (!found->is_string()) {
    throw BadLine(absl::StrCat("\"", name, "\" is not a string"));
  }
  return found->get<std::string>();
}

// Of strings; empty if there is none.
std::vector<std::string> Texts(const json& line, const char* name) {
  const auto found = line.find(name);
  if (found == line.end()) return {};
  const bool good = found->is_array() &&
                    std::all_of(found->begin(), found->end(),
                                [](const json& e) { return e.is_string(); });
  if (!good) {
    throw BadLine(absl::StrCat("\"", name, "\" is not an array of strings"));
  }
  return found->get<std::vector<std::string>>();
}

void Set(const json& line, const char* name,
         const std::function<google::protobuf::StringValue*()>& to) {
  if (line.contains(name)) to()->set_value(Text(line, name));
}

int32_t Number(const json& line, const char* name) {
  const auto found = line.find(name);
  if (found == line.end()) return 0;
  if (!found->is_number_integer()) {
    throw BadLine(absl::StrCat("\"", name, "\" is not a number"));
  }
  return found->get<int32_t>();
}

void SetTime(const json& line, const char* name,
             google::protobuf::Timestamp& to) {
  const std::string text = Text(line, name);
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    throw BadLine(absl::StrCat("\"", name, "\" is \"", text,
                               "\", which is not an RFC 3339 time"));
  }
  const int64_t seconds = absl::ToUnixSeconds(time);
  to.set_seconds(seconds);
  to.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

void SetFailure(const json& failure, TaskFailureDetails& to) {
  if (!failure.is_object()) throw BadLine("a failure is not an object");
  to.set_errortype(Text(failure, "type"));
  to.set_errormessage(Text(failure, "message"));
  Set(failure, "stack_trace", [&] { return to.mutable_stacktrace(); });
  to.set_isnonretriable(failure.value("non_retriable", json(false)) == true);
  if (failure.contains("cause")) {
    SetFailure(failure["cause"], *to.mutable_innerfailure());
  }
}

void SetFailureOf(const json& line,
                  const std::function<TaskFailureDetails*()>& to) {
  if (line.contains("failure")) SetFailure(line["failure"], *to());
}

OrchestrationStatus StatusOf(const json& line) {
  const std::string status = Text(line, "status");
  if (status == "COMPLETED") return ORCHESTRATION_STATUS_COMPLETED;
  if (status == "FAILED") return ORCHESTRATION_STATUS_FAILED;
  if (status == "TERMINATED") return ORCHESTRATION_STATUS_TERMINATED;
  throw BadLine(absl::StrCat("\"status\" is \"", status,
                             "\"; an orchestration ends as COMPLETED, FAILED "
                             "or TERMINATED"));
}

// ---- One kind of event each -------------------------------------------------

void ReadStarted(const json& line, HistoryEvent& event) {
  ExecutionStartedEvent& to = *event.mutable_executionstarted();
  to.set_name(Text(line, "name"));
  Set(line, "version", [&] { return to.mutable_version(); });
  Set(line, "input", [&] { return to.mutable_input(); });
  Set(line, "execution_id", [&] {
    return to.mutable_orchestrationinstance()->mutable_executionid();
  });
  if (line.contains("parent_instance_id")) {
    to.mutable_parentinstance()
        ->mutable_orchestrationinstance()
        ->set_instanceid(Text(line, "parent_instance_id"));
  }
}

void ReadEnd(const json& line, HistoryEvent& event) {
  ExecutionCompletedEvent& to = *event.mutable_executioncompleted();
  to.set_orchestrationstatus(StatusOf(line));
  Set(line, "output", [&] { return to.mutable_result(); });
  SetFailureOf(line, [&] { return to.mutable_failuredetails(); });
}

void ReadTerminated(const json& line, HistoryEvent& event) {
  auto& to = *event.mutable_executionterminated();
  Set(line, "output", [&] { return to.mutable_input(); });
}

template <typename Begun>
void ReadBegun(const json& line, Begun& to) {
  to.set_name(Text(line, "name"));
  Set(line, "version", [&] { return to.mutable_version(); });
  Set(line, "input", [&] { return to.mutable_input(); });
}

template <typename Done>
void ReadDone(const json& line, Done& to) {
  to.set_taskscheduledid(Number(line, "scheduled_id"));
  Set(line, "output", [&] { return to.mutable_result(); });
}

template <typename Failed>
void ReadFailed(const json& line, Failed& to) {
  to.set_taskscheduledid(Number(line, "scheduled_id"));
  SetFailureOf(line, [&] { return to.mutable_failuredetails(); });
}

void ReadChild(const json& line, HistoryEvent& event) {
  auto& to = *event.mutable_suborchestrationinstancecreated();
  ReadBegun(line, to);
  to.set_instanceid(Text(line, "instance_id"));
}

void ReadFired(const json& line, HistoryEvent& event) {
  TimerFiredEvent& to = *event.mutable_timerfired();
  to.set_timerid(Number(line, "scheduled_id"));
  if (line.contains("fire_time")) {
    SetTime(line, "fire_time", *to.mutable_fireat());
  }
}

void ReadSent(const json& line, HistoryEvent& event) {
  EventSentEvent& to = *event.mutable_eventsent();
  to.set_instanceid(Text(line, "instance_id"));
  to.set_name(Text(line, "name"));
  Set(line, "input", [&] { return to.mutable_input(); });
}

void ReadRaised(const json& line, HistoryEvent& event) {
  EventRaisedEvent& to = *event.mutable_eventraised();
  to.set_name(Text(line, "name"));
  Set(line, "input", [&] { return to.mutable_input(); });
}

// Of a call or a signal.
template <typename Sent>
void ReadOperation(const json& line, Sent& to) {
  to.set_requestid(Text(line, "request_id"));
  to.set_operation(Text(line, "operation"));
  Set(line, "input", [&] { return to.mutable_input(); });
  to.mutable_targetinstanceid()->set_value(Text(line, "instance_id"));
}

void ReadSignal(const json& line, HistoryEvent& event) {
  auto& to = *event.mutable_entityoperationsignaled();
  ReadOperation(line, to);
  if (line.contains("scheduled_time")) {
    SetTime(line, "scheduled_time", *to.mutable_scheduledtime());
  }
}

void ReadAnswer(const json& line, HistoryEvent& event) {
  auto& to = *event.mutable_entityoperationcompleted();
  to.set_requestid(Text(line, "request_id"));
  Set(line, "output", [&] { return to.mutable_output(); });
}

void ReadRefusal(const json& line, HistoryEvent& event) {
  auto& to = *event.mutable_entityoperationfailed();
  to.set_requestid(Text(line, "request_id"));
  SetFailureOf(line, [&] { return to.mutable_failuredetails(); });
}

void ReadLock(const json& line, HistoryEvent& event) {
  auto& to = *event.mutable_entitylockrequested();
  to.set_criticalsectionid(Text(line, "section_id"));
  for (std::string& id : Texts(line, "instance_ids")) {
    to.add_lockset(std::move(id));
  }
}

void ReadUnlock(const json& line, HistoryEvent& event) {
  auto& to = *event.mutable_entityunlocksent();
  to.set_criticalsectionid(Text(line, "section_id"));
  to.mutable_targetinstanceid()->set_value(Text(line, "instance_id"));
}

using Reader = void (*)(const json& line, HistoryEvent& event);

const std::map<std::string, Reader>& Readers() {
  static const auto* const kReaders = new std::map<std::string, Reader>{
      {"turn_started",
       [](const json&, HistoryEvent& e) { e.mutable_orchestratorstarted(); }},
      {"turn_completed",
       [](const json&, HistoryEvent& e) { e.mutable_orchestratorcompleted(); }},
      {"execution_started", &ReadStarted},
      {"execution_completed", &ReadEnd},
      {"execution_terminated", &ReadTerminated},
      {"execution_suspended",
       [](const json&, HistoryEvent& e) { e.mutable_executionsuspended(); }},
      {"execution_resumed",
       [](const json&, HistoryEvent& e) { e.mutable_executionresumed(); }},
      {"execution_rewound",
       [](const json&, HistoryEvent& e) { e.mutable_executionrewound(); }},
      {"activity_scheduled",
       [](const json& line, HistoryEvent& e) {
         ReadBegun(line, *e.mutable_taskscheduled());
       }},
      {"activity_completed",
       [](const json& line, HistoryEvent& e) {
         ReadDone(line, *e.mutable_taskcompleted());
       }},
      {"activity_failed",
       [](const json& line, HistoryEvent& e) {
         ReadFailed(line, *e.mutable_taskfailed());
       }},
      {"sub_orchestration_started", &ReadChild},
      {"sub_orchestration_completed",
       [](const json& line, HistoryEvent& e) {
         ReadDone(line, *e.mutable_suborchestrationinstancecompleted());
       }},
      {"sub_orchestration_failed",
       [](const json& line, HistoryEvent& e) {
         ReadFailed(line, *e.mutable_suborchestrationinstancefailed());
       }},
      {"timer_created",
       [](const json& line, HistoryEvent& e) {
         SetTime(line, "fire_time",
                 *e.mutable_timercreated()->mutable_fireat());
       }},
      {"timer_fired", &ReadFired},
      {"event_raised", &ReadRaised},
      {"event_sent", &ReadSent},
      {"entity_called",
       [](const json& line, HistoryEvent& e) {
         ReadOperation(line, *e.mutable_entityoperationcalled());
       }},
      {"entity_signaled", &ReadSignal},
      {"entity_call_completed", &ReadAnswer},
      {"entity_call_failed", &ReadRefusal},
      {"entity_lock_requested", &ReadLock},
      {"entity_lock_granted",
       [](const json& line, HistoryEvent& e) {
         e.mutable_entitylockgranted()->set_criticalsectionid(
             Text(line, "section_id"));
       }},
      {"entity_unlocked", &ReadUnlock},
  };
  return *kReaders;
}

// ---- Lines ------------------------------------------------------------------

std::string ReadHeading(const json& line) {
  if (Text(line, "format") != kFormat) {
    throw BadLine(absl::StrCat(
        "this is not an exported history: the first line must have \"format\": "
        "\"",
        kFormat,
        "\"; export one with leasehold orchestration history ID "
        "--export=FILE"));
  }
  return Text(line, "instance_id");
}

// Whether the line is of an event of entities as it was exported before they
// were described (by its number in the protocol).
bool IsBareEntityEvent(const json& line) {
  return Text(line, "event") == "other" &&
         Number(line, "number") >= HistoryEvent::kEntityOperationSignaled &&
         Number(line, "number") <= HistoryEvent::kEntityUnlockSent;
}

// nullopt: the event is of a kind that is not known here.
std::optional<HistoryEvent> ReadEvent(const json& line) {
  if (IsBareEntityEvent(line)) {
    throw BadLine(
        "the orchestration uses entities, and the version that exported this "
        "history did not write what it did with them; export it again, with a "
        "server and a command line of this version");
  }
  const auto reader = Readers().find(Text(line, "event"));
  if (reader == Readers().end()) {
    if (Text(line, "event").empty()) throw BadLine("it has no \"event\"");
    return std::nullopt;
  }
  HistoryEvent event;
  event.set_eventid(Number(line, "id"));
  SetTime(line, "time", *event.mutable_timestamp());
  reader->second(line, event);
  return event;
}

void ReadLine(const std::string& text, int number, ExportedHistory& history) {
  const json line = client::ParseJson(text);
  if (!line.is_object()) throw BadLine("it is not a JSON object");
  if (number == 1) {
    history.instance_id = ReadHeading(line);
    return;
  }
  std::optional<HistoryEvent> event = ReadEvent(line);
  if (!event.has_value()) return;
  history.events.push_back(*std::move(event));
  history.lines.push_back(number);
}

}  // namespace

absl::StatusOr<ExportedHistory> ReadExport(std::string_view text) {
  ExportedHistory history;
  int number = 0;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(std::string(text), '\n'))) {
    ++number;
    if (line.empty() && number > 1) continue;
    try {
      ReadLine(line, number, history);
    } catch (const std::exception& error) {  // BadLine, or not valid JSON.
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": ", error.what()));
    }
  }
  return history;
}

}  // namespace leasehold::testkit
