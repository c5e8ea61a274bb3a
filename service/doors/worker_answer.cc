#include "service/doors/worker_answer.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "durabletask/orchestrator_service.pb.h"
#include "service/doors/durable_task_messages.h"
#include "service/doors/work_messages.h"
#include "service/rpc/received.h"

namespace leasehold {
namespace {

// In both answers.
constexpr int kInstanceIdField = 1;
constexpr int kTaskIdField = 2;

// Why an answer was not taken.
struct Refusal {
  std::string type;
  std::string message;
};

// Skips a field with that tag.
bool Skip(google::protobuf::io::CodedInputStream& input, uint32_t tag) {
  uint64_t number = 0;
  uint32_t size = 0;
  switch (tag & 7) {
    case 0:
      return input.ReadVarint64(&number);
    case 1:
      return input.Skip(8);
    case 2:
      return input.ReadVarint32(&size) &&
             size <= std::numeric_limits<int>::max() &&
             input.Skip(static_cast<int>(size));
    case 5:
      return input.Skip(4);
    default:
      return false;
  }
}

bool ReadText(google::protobuf::io::CodedInputStream& input,
              std::string& text) {
  // IDs and tokens are shorter.
  constexpr uint32_t kBytesMax = 64 << 10;
  uint32_t size = 0;
  return input.ReadVarint32(&size) && size <= kBytesMax &&
         input.ReadString(&text, static_cast<int>(size));
}

// Finds out which work an unreadable answer belongs to, as far as it says so.
// Copies nothing of what may be hundreds of megabytes.
WorkName FindName(grpc::ByteBuffer& bytes, const Caller& caller,
                  int token_field, bool has_task_id) {
  WorkName name;
  std::string id;
  grpc::ProtoBufferReader reader(&bytes);
  if (!reader.status().ok()) return name;
  google::protobuf::io::CodedInputStream input(&reader);
  while (const uint32_t tag = input.ReadTag()) {
    const int field = static_cast<int>(tag >> 3);
    const bool is_text = (tag & 7) == 2;
    if (field == kInstanceIdField && is_text) {
      if (!ReadText(input, id)) break;
    } else if (field == token_field && is_text) {
      if (!ReadText(input, name.token)) break;
    } else if (field == kTaskIdField && has_task_id && (tag & 7) == 0) {
      uint64_t number = 0;
      if (!input.ReadVarint64(&number)) break;
      name.task_id = static_cast<int32_t>(number);
    } else if (!Skip(input, tag)) {
      break;
    }
  }
  name.key = NormalKey(caller.tenant, std::move(id));
  return name;
}

// Parses the bytes into `message`. nullopt: it worked; otherwise the reason.
std::optional<Refusal> Read(grpc::ByteBuffer& bytes, size_t bytes_max,
                            google::protobuf::Message& message) {
  if (bytes.Length() > bytes_max) {
    return Refusal{"AnswerTooLarge",
                   absl::StrCat("the worker's answer has ", bytes.Length(),
                                " bytes; at most ", bytes_max, " are allowed")};
  }
  const absl::Status status = ParseReceived(bytes, message, bytes_max);
  if (status.ok()) return std::nullopt;
  const std::string repaired =
      RepairFailures(Flatten(bytes), *message.GetDescriptor(),
                     *TaskFailureDetails::descriptor(),
                     // Deeper ones are cut, and say so, where they are read.
                     kFailureDepthMax + 1);
  if (message.ParseFromString(repaired)) return std::nullopt;
  message.Clear();
  return Refusal{"UnreadableAnswer",
                 absl::StrCat("the worker's answer cannot be read: ",
                              std::string(status.message()))};
}

// Whose answer was refused. InvalidArgument: that is unknown.
absl::StatusOr<WorkName> NameOf(grpc::ByteBuffer& bytes, const Caller& caller,
                                int token_field, bool has_task_id,
                                const Refusal& refusal) {
  WorkName name = FindName(bytes, caller, token_field, has_task_id);
  if (name.token.empty() && name.key.id.empty()) {
    return absl::InvalidArgumentError(refusal.message);
  }
  return name;
}

}  // namespace

absl::StatusOr<ActivityAnswer> ReadActivityAnswer(grpc::ByteBuffer& bytes,
                                                  const Caller& caller,
                                                  size_t bytes_max) {
  ActivityResponse message;
  if (std::optional<Refusal> refusal = Read(bytes, bytes_max, message)) {
    absl::StatusOr<WorkName> name =
        NameOf(bytes, caller, ActivityResponse::kCompletionTokenFieldNumber,
               /*has_task_id=*/true, *refusal);
    if (!name.ok()) return name.status();
    return ActivityAnswer{
        *std::move(name),
        TaskFailed{0, MakeFailure(std::move(refusal->type),
                                  std::move(refusal->message))}};
  }
  bytes.Clear();
  WorkName name{.token = message.completiontoken(),
                .key = NormalKey(caller.tenant, message.instanceid()),
                .task_id = message.taskid()};
  return ActivityAnswer{std::move(name), FromMessage(std::move(message))};
}

absl::StatusOr<OrchestratorAnswer> ReadOrchestratorAnswer(
    grpc::ByteBuffer& bytes, const Caller& caller, size_t bytes_max) {
  OrchestratorResponse message;
  if (std::optional<Refusal> refusal = Read(bytes, bytes_max, message)) {
    absl::StatusOr<WorkName> name =
        NameOf(bytes, caller, OrchestratorResponse::kCompletionTokenFieldNumber,
               /*has_task_id=*/false, *refusal);
    if (!name.ok()) return name.status();
    TurnAnswer turn;
    turn.refusal =
        FailureDetails{std::move(refusal->type), std::move(refusal->message)};
    return OrchestratorAnswer{.name = *std::move(name),
                              .turn = std::move(turn)};
  }
  bytes.Clear();
  OrchestratorAnswer answer{
      .name = {.token = message.completiontoken(),
               .key = NormalKey(caller.tenant, message.instanceid())},
      .wants_history = message.requireshistory(),
      .turn = TurnAnswer()};
  if (!answer.wants_history) answer.turn = FromMessage(std::move(message));
  return answer;
}

absl::StatusOr<EntityAnswer> ReadEntityAnswer(grpc::ByteBuffer& bytes,
                                              const Caller& caller,
                                              size_t bytes_max) {
  EntityBatchResult message;
  if (std::optional<Refusal> refusal = Read(bytes, bytes_max, message)) {
    WorkName name =
        FindName(bytes, caller, EntityBatchResult::kCompletionTokenFieldNumber,
                 /*has_task_id=*/false);
    // Its first field is no ID.
    name.key.id.clear();
    absl::Status why = absl::InvalidArgumentError(refusal->message);
    if (name.token.empty()) return why;
    return EntityAnswer{std::move(name), std::move(why)};
  }
  bytes.Clear();
  if (message.completiontoken().empty()) {
    return absl::InvalidArgumentError(
        "completionToken is empty: an answer to a batch has the token that the "
        "batch came with");
  }
  WorkName name{.token = message.completiontoken(),
                .key = NormalKey(caller.tenant, "")};
  return EntityAnswer{std::move(name), FromMessage(std::move(message))};
}

void AnswerActivity(WorkExchange& work, const Caller& caller,
                    grpc::ByteBuffer& bytes, DoneStatus done) {
  absl::StatusOr<ActivityAnswer> answer = ReadActivityAnswer(bytes, caller);
  if (!answer.ok()) {
    work.RefuseAnswer(WorkKind::kActivity, {},
                      std::string(answer.status().message()));
    return done(answer.status());
  }
  work.CompleteActivity(answer->name, std::move(answer->end), std::move(done));
}

void AnswerTurn(WorkExchange& work, const Caller& caller,
                grpc::ByteBuffer& bytes, DoneStatus done) {
  absl::StatusOr<OrchestratorAnswer> answer =
      ReadOrchestratorAnswer(bytes, caller);
  if (!answer.ok()) {
    work.RefuseAnswer(WorkKind::kTurn, {},
                      std::string(answer.status().message()));
    return done(answer.status());
  }
  if (answer->wants_history) {
    work.RefuseAnswer(WorkKind::kTurn, answer->name,
                      "its worker asked for the history, which it has");
    return done(absl::OkStatus());
  }
  if (!answer->turn.ok()) {
    // No other answer will come: workers do not retry.
    work.RefuseAnswer(WorkKind::kTurn, answer->name,
                      absl::StrCat("its answer could not be read: ",
                                   answer->turn.status().message()));
    return done(answer->turn.status());
  }
  work.CompleteTurn(answer->name, *std::move(answer->turn), std::move(done));
}

void AnswerEntity(WorkExchange& work, const Caller& caller,
                  grpc::ByteBuffer& bytes, DoneStatus done) {
  absl::StatusOr<EntityAnswer> answer = ReadEntityAnswer(bytes, caller);
  if (answer.ok() && answer->batch.ok()) {
    return work.CompleteEntity(answer->name, *std::move(answer->batch),
                               std::move(done));
  }
  // No other answer may come: workers do not try again.
  const absl::Status why =
      answer.ok() ? answer->batch.status() : answer.status();
  work.RefuseAnswer(
      WorkKind::kEntity, answer.ok() ? answer->name : WorkName(),
      absl::StrCat("its answer could not be read: ", why.message()));
  done(why);
}

}  // namespace leasehold
