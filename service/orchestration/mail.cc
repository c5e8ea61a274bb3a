#include "service/orchestration/mail.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/base/invariant.h"
#include "service/orchestration/engine_section.h"

namespace leasehold {
namespace {

// Delay before letters that could not be acted on are tried again.
constexpr absl::Duration kPutOffDelay = absl::Seconds(1);

}  // namespace

// ---- To an open orchestration -----------------------------------------------

void Mail::PostLocked(const OrchestrationPtr& target, std::string execution_id,
                      const HistoryEvent& event, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const int number = NumberOf(event);
  NoteSuspension(number, *target);
  PostMessageLocked(
      target, MakeMessage(std::move(execution_id), number, EncodeEvent(event)),
      commit);
}

void Mail::PostMessageLocked(const OrchestrationPtr& target, Message message,
                             PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  CheckInvariant(!target->gone, "messages are posted to what is open");
  message.sequence = ++target->last_sequence;
  target->inbox.Announce(message);
  commit.changes.push_back(MakeRow(target->number, message));
  commit.apply.push_back([this, target, message = std::move(message)] {
    engine_.mu_.AssertHeld();
    target->inbox.Arrive(message);
    ReceiveLocked(*target, message);
  });
}

void Mail::ReceiveLocked(Orchestration& target, Message message) {
  engine_.mu_.AssertHeld();
  if (target.gone || target.damage != nullptr) return;
  if (!IsForPresent(message, target)) return;
  if (message.terminates) {
    target.terminating = true;
    engine_.ends_.NoteTerminatingLocked(target.number);
  }
  CheckInvariant(target.inbox.empty() ||
                     target.inbox.messages().back().sequence < message.sequence,
                 "messages arrive in the order of their sequences");
  target.inbox.Add(std::move(message));
  engine_.deliveries_.LineUpLocked(target);
}

void Mail::FireLocked(Orchestration& orchestration, int32_t id) {
  engine_.mu_.AssertHeld();
  // After the messages being committed: messages arrive in the order of their
  // sequences, since a turn takes all up to one.
  Message message{.sequence = ++orchestration.last_sequence,
                  .execution_id = orchestration.execution_id,
                  .timer = id};
  PendingCommit commit;
  commit.apply.push_back([this, target = orchestration.shared_from_this(),
                          message = std::move(message)] {
    engine_.mu_.AssertHeld();
    ReceiveLocked(*target, message);
  });
  engine_.commits_.Submit(std::move(commit));
}

// ---- Letters ----------------------------------------------------------------

void Mail::SendLocked(const InstanceKey& from, OutboxMessage message,
                      PendingCommit& commit, const ErrandPtr& errand) {
  engine_.mu_.AssertHeld();
  CheckInvariant(message.to.tenant == from.tenant,
                 "no tenant sends anything to another");
  if (message.kind == OutboxMessage::Kind::kEvent) {
    const bool short_cut =
        engine_.options_.outbox_shortcut &&
        (lines_.empty() || !lines_.contains(Directory::NameOf(message.to)));
    if (short_cut || message.to == from) {
      return ActOnEventLocked(std::move(message), commit);
    }
  }
  Outbox& outbox = engine_.outbox_;
  OutboxRow row = outbox.MakeRow(outbox.fence().partition, message);
  const auto letter =
      std::make_shared<Letter>(Letter{.key = {row.source, row.ordinal},
                                      .message = std::move(message),
                                      .errand = errand});
  if (errand != nullptr) errand->Begin();
  LineUpLocked(letter);
  commit.changes.push_back(PutOutbox{std::move(row)});
  commit.apply.push_back([this, letter] { ArriveLocked(letter); });
}

void Mail::PushLocked(const OutboxRow& row) {
  engine_.mu_.AssertHeld();
  std::optional<OutboxMessage> message = Outbox::Read(row);
  // Left where it is, for people.
  if (!message.has_value()) return;
  const auto letter = std::make_shared<Letter>(
      Letter{.key = {row.source, row.ordinal}, .message = *std::move(message)});
  LineUpLocked(letter);
  ArriveLocked(letter);
}

void Mail::LineUpLocked(const LetterPtr& letter) {
  lines_[Directory::NameOf(letter->message.to)].push_back(letter);
}

void Mail::ArriveLocked(const LetterPtr& letter) {
  engine_.mu_.AssertHeld();
  // Everything was erased since, and the row with it.
  if (letter->forgotten) return;
  letter->durable = true;
  AdvanceLocked(Directory::NameOf(letter->message.to));
}

void Mail::AdvanceLocked(const std::string& name) {
  engine_.mu_.AssertHeld();
  for (;;) {
    const auto line = lines_.find(name);
    if (line == lines_.end()) return;
    const LetterPtr letter = line->second.front();
    if (!letter->durable || std::exchange(letter->begun, true)) return;
    if (letter->message.kind != OutboxMessage::Kind::kEvent) {
      return ActOnLocked(letter);
    }
    PendingCommit commit;
    ActOnEventLocked(std::move(letter->message), commit);
    SubmitLocked(letter, std::move(commit), /*reached=*/true);
    LeaveLineLocked(name);
  }
}

void Mail::ActOnLocked(const LetterPtr& letter) {
  engine_.mu_.AssertHeld();
  switch (letter->message.kind) {
    case OutboxMessage::Kind::kEvent:
      break;
    case OutboxMessage::Kind::kRewind:
      return engine_.rewinds_.ActOnLocked(letter);
    case OutboxMessage::Kind::kTerminate:
      return engine_.ends_.ActOnLocked(letter);
    case OutboxMessage::Kind::kPurge:
      return engine_.purges_.ActOnLocked(letter);
  }
}

void Mail::CommitLocked(const LetterPtr& letter, PendingCommit commit,
                        bool reached) {
  engine_.mu_.AssertHeld();
  CheckInvariant(!letter->forgotten, "what is forgotten is not acted on");
  SubmitLocked(letter, std::move(commit), reached);
  const std::string name = Directory::NameOf(letter->message.to);
  LeaveLineLocked(name);
  AdvanceLocked(name);
}

void Mail::SubmitLocked(const LetterPtr& letter, PendingCommit commit,
                        bool reached) {
  engine_.mu_.AssertHeld();
  commit.changes.insert(commit.changes.begin(),
                        TakeOutbox{letter->key, commit.changes.size()});
  if (letter->errand != nullptr) {
    commit.done = [this, letter, reached](const absl::Status& status) {
      Engine::Section section(engine_);
      if (reached && status.ok()) letter->errand->Reach();
      EndPartLocked(*letter, status);
    };
  }
  engine_.commits_.Submit(std::move(commit));
}

void Mail::LeaveLineLocked(const std::string& name) {
  const auto line = lines_.find(name);
  line->second.pop_front();
  if (line->second.empty()) lines_.erase(line);
}

void Mail::EndPartLocked(Letter& letter, const absl::Status& status) {
  engine_.mu_.AssertHeld();
  const ErrandPtr errand = std::exchange(letter.errand, nullptr);
  if (errand == nullptr) return;
  errand->End(status, engine_.clock_.Now(), engine_.effects_.calls);
}

void Mail::PutOffLocked(const LetterPtr& letter, const absl::Status& status) {
  engine_.mu_.AssertHeld();
  if (letter->forgotten) return;
  EndPartLocked(*letter, status);
  put_off_.push_back(letter);
  if (retry_at_.has_value()) return;
  retry_at_ = engine_.schedule_.MonotonicNow() +
              absl::ToInt64Microseconds(kPutOffDelay);
  engine_.timers_changed_.NotifyAll();
}

void Mail::RetryIfDueLocked(StoredTime now) {
  engine_.mu_.AssertHeld();
  if (!retry_at_.has_value() || *retry_at_ > now) return;
  retry_at_.reset();
  for (const LetterPtr& letter : std::exchange(put_off_, {})) {
    ActOnLocked(letter);
  }
}

void Mail::ForgetAllLocked() {
  engine_.mu_.AssertHeld();
  for (auto& [name, line] : lines_) {
    for (const LetterPtr& letter : line) {
      letter->forgotten = true;
      EndPartLocked(*letter, absl::UnavailableError(
                                 "what the store held was being read anew; "
                                 "what was not done yet goes on"));
    }
  }
  lines_.clear();
  put_off_.clear();
  retry_at_.reset();
}

std::vector<LetterPtr> Mail::ForgetTenantLocked(const std::string& tenant) {
  engine_.mu_.AssertHeld();
  std::vector<LetterPtr> letters;
  absl::erase_if(lines_, [&](auto& line) {
    if (!Directory::IsOf(line.first, tenant)) return false;
    letters.insert(letters.end(), line.second.begin(), line.second.end());
    return true;
  });
  for (const LetterPtr& letter : letters) letter->forgotten = true;
  std::erase_if(put_off_,
                [](const LetterPtr& letter) { return letter->forgotten; });
  if (put_off_.empty()) retry_at_.reset();
  return letters;
}

// ---- What they cause --------------------------------------------------------

void Mail::ActOnEventLocked(OutboxMessage message, PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  if (auto* started = std::get_if<ExecutionStarted>(&message.event.body)) {
    return ActOnStartLocked(message.to, std::move(*started), commit);
  }
  if (IsForEntity(NumberOf(message.event)) || message.to.id.starts_with('@')) {
    return engine_.batches_.ReceiveLocked(message.to, std::move(message.event),
                                          commit);
  }
  const OrchestrationPtr target = engine_.directory_.FindNotEnded(message.to);
  if (target == nullptr) return;  // It has ended, or never was.
  PostLocked(target, std::move(message.execution_id), message.event, commit);
}

void Mail::ActOnStartLocked(const InstanceKey& key, ExecutionStarted started,
                            PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  const OrchestrationPtr open = engine_.directory_.FindNotEnded(key);
  if (open == nullptr) {
    engine_.starts_.CreateLocked(key, std::move(started), Starts::By::kWork,
                                 commit);
    return;
  }
  if (!started.parent.has_value()) return;  // No one to tell.
  const ExecutionOf& of = started.parent->orchestration;
  const InstanceKey parent = NormalKey(key.tenant, of.instance_id);
  std::string why(AlreadyExists(key.id, open->status, {}).message());
  if (parent == key) {
    why =
        absl::StrCat("the sub-orchestration has the ID of its own parent, ",
                     QuoteForMessage(key.id), "; give it another one, or none");
  }
  SendLocked(key,
             {parent,
              of.execution_id.value_or(""),
              {HistoryEvent::kFromOutside, engine_.NowLocked(),
               SubOrchestrationFailed{
                   started.parent->task_scheduled_id,
                   MakeFailure("OrchestrationAlreadyExists", std::move(why))}}},
             commit);
}

void Mail::TellParentLocked(const InstanceKey& key,
                            const std::optional<ParentLink>& parent,
                            OrchestrationStatus status,
                            const OpaqueMessage& failure,
                            PendingCommit& commit) {
  engine_.mu_.AssertHeld();
  if (!parent.has_value()) return;
  const ExecutionOf& of = parent->orchestration;
  SendLocked(
      key,
      {NormalKey(key.tenant, of.instance_id),
       of.execution_id.value_or(""),
       {HistoryEvent::kFromOutside, engine_.NowLocked(),
        EndOfChild(key.id, parent->task_scheduled_id, status, {}, failure)}},
      commit);
}

}  // namespace leasehold
