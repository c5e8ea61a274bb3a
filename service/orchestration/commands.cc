#include "service/orchestration/commands.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {

absl::Status Commands::CheckInboxLocked(const Orchestration& target,
                                        const Message& message) const {
  engine_.mu_.AssertHeld();
  size_t bytes_max = engine_.options_.inbox_bytes_max;
  // A terminate or a resume must still fit.
  if (message.urgent)
    bytes_max += 2 * engine_.options_.limits.payload_bytes_max;
  const size_t bytes = target.inbox.bytes() + Inbox::SizeOf(message);
  // A single message always fits.
  if (bytes <= bytes_max || target.inbox.bytes() == 0) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the queued messages of orchestration ", QuoteForMessage(target.key.id),
      " would have ", bytes, " bytes; at most ", bytes_max,
      " are allowed (--max-inbox-bytes): a worker that takes its turns makes "
      "room"));
}

void Commands::SendCommand(const InstanceKey& key, HistoryEvent event,
                           DoneStatus done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.serving(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  const OrchestrationPtr open = engine_.directory_.FindOpen(key);
  if (open == nullptr) {
    engine_.readers_.Post([this, key, event = std::move(event), done] {
      const auto row = engine_.store_.Find(key.tenant, key.id);
      if (!row.ok()) return done(row.status());
      if (!row->has_value()) return done(NoSuchOrchestration(key));
      if ((*row)->damaged) {
        return done(IsDamaged(key.id, "its row does not have its checksum"));
      }
      if ((*row)->finished.has_value()) {
        const auto status = static_cast<OrchestrationStatus>((*row)->status);
        return done(absl::FailedPreconditionError(absl::StrCat(
            "orchestration ", QuoteForMessage(key.id), " is ",
            std::string(StatusName(status)),
            "; only one that has not ended can be told anything")));
      }
      // It was opened since, or is about to end, or to be erased: its state is
      // known after the queued commits.
      Engine::Section section(engine_);
      engine_.AfterCommitsLocked([this, key, event, done](absl::Status s) {
        if (!s.ok()) return done(s);
        SendCommand(key, event, done);
      });
    });
    return;
  }
  if (open->damage != nullptr) {
    return engine_.RefuseLocked(done, IsDamaged(key.id, *open->damage));
  }
  PendingCommit commit;
  // Some workers fail if told to suspend or resume when that is already so.
  const bool is_so =
      (event.As<ExecutionSuspended>() != nullptr && open->suspended) ||
      (event.As<ExecutionResumed>() != nullptr && !open->suspended);
  if (!is_so) {
    const int number = NumberOf(event);
    Message message = MakeMessage("", number, EncodeEvent(event));
    absl::Status status = CheckInboxLocked(*open, message);
    // A terminate or a resume lets work go on, or end.
    if (status.ok() && !message.urgent) {
      status = engine_.storage_room_.Take(key.tenant, Inbox::SizeOf(message),
                                          commit);
    }
    if (!status.ok()) return engine_.RefuseLocked(done, status);
    NoteSuspension(number, *open);
    engine_.mail_.PostMessageLocked(open, std::move(message), commit);
  }
  commit.done = std::move(done);
  engine_.commits_.Submit(std::move(commit));
}

template <typename MakeBody>
void Commands::Tell(const InstanceKey& key, const char* what, Payload payload,
                    MakeBody body, DoneStatus done) {
  if (absl::Status status =
          CheckPayload(payload, what, engine_.options_.limits);
      !status.ok()) {
    return done(status);
  }
  SendCommand(key,
              {HistoryEvent::kFromOutside,
               ToTimestamp(engine_.clock_.WallNow()), body(std::move(payload))},
              std::move(done));
}

void Commands::RaiseEvent(const InstanceKey& key, std::string name,
                          Payload input, DoneStatus done) {
  Tell(
      key, "the event has", std::move(input),
      [&name](Payload sent) {
        return EventRaised{std::move(name), std::move(sent)};
      },
      std::move(done));
}

void Commands::Suspend(const InstanceKey& key, Payload reason,
                       DoneStatus done) {
  Tell(
      key, "the reason has", std::move(reason),
      [](Payload sent) { return ExecutionSuspended{std::move(sent)}; },
      std::move(done));
}

void Commands::Resume(const InstanceKey& key, Payload reason, DoneStatus done) {
  Tell(
      key, "the reason has", std::move(reason),
      [](Payload sent) { return ExecutionResumed{std::move(sent)}; },
      std::move(done));
}

void Commands::Terminate(const InstanceKey& key, Payload output, bool recursive,
                         DoneStatus done) {
  Tell(
      key, "the output has", std::move(output),
      [recursive](Payload sent) {
        return ExecutionTerminated{std::move(sent), recursive};
      },
      std::move(done));
}

}  // namespace leasehold
