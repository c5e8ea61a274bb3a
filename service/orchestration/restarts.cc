#include "service/orchestration/restarts.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/engine_section.h"
#include "service/orchestration/start_trace.h"

namespace leasehold {
namespace {

absl::Status HasNotEnded(const InstanceKey& key, OrchestrationStatus status) {
  return absl::FailedPreconditionError(
      absl::StrCat("orchestration ", QuoteForMessage(key.id), " is ",
                   std::string(StatusName(status)),
                   "; under its own ID only one that has ended is restarted"));
}

}  // namespace

// A restart under another ID. The lookup of the key lasts until EndCopy.
struct Restarts::Copy {
  InstanceKey key;
  std::string new_id;
  CallTrace trace;
  Done<StartReceipt> done;
  uint64_t reload = 0;
  bool outdated = false;  // It has to be read again.
};

// What is read of an orchestration to start it again.
struct Restarts::Restarted {
  StartRequest request;  // Without its key.
  std::string execution_id;
};

void Restarts::Restart(const InstanceKey& key,
                       std::optional<std::string> new_id,
                       const CallTrace& trace, Done<StartReceipt> done) {
  Engine::Section section(engine_);
  if (absl::Status status = engine_.admission_.accepting(); !status.ok()) {
    return engine_.RefuseLocked(done, status);
  }
  if (new_id.has_value()) {
    return RestartAsCopyLocked(key, *std::move(new_id), trace, std::move(done));
  }
  const OrchestrationPtr open = engine_.directory_.FindOpen(key);
  if (open != nullptr && open->durable) {
    return engine_.RefuseLocked(done, HasNotEnded(key, open->status));
  }
  engine_.readers_.Post([this, key, trace, done = std::move(done)] {
    RestartAgain(key, trace, done);
  });
}

absl::StatusOr<Restarts::Restarted> Restarts::ReadRestarted(
    const InstanceKey& key) {
  absl::StatusOr<std::optional<OrchestrationInfo>> info =
      engine_.reads_.ReadInfo(key, /*payloads=*/true);
  if (!info.ok()) return info.status();
  if (!info->has_value()) return NoSuchOrchestration(key);
  if ((*info)->status == OrchestrationStatus::kDamaged) {
    return IsDamaged(key.id, "its start is not known");
  }
  Summary& summary = (*info)->summary;
  Restarted restarted;
  restarted.execution_id = std::move(summary.execution_id);
  StartRequest& request = restarted.request;
  request.name = std::move(summary.name);
  request.version = std::move(summary.version);
  request.input = std::move((*info)->input);
  request.tags = std::move(summary.tags);
  request.turn_time = summary.turn_time;
  absl::Status fits =
      CheckPayload(request.input, "the input has", engine_.options_.limits);
  if (!fits.ok()) return fits;
  return restarted;
}

void Restarts::RestartAgain(const InstanceKey& key, const CallTrace& trace,
                            Done<StartReceipt> done) {
  absl::StatusOr<Restarted> restarted = ReadRestarted(key);
  if (!restarted.ok()) return done(restarted.status());
  restarted->request.key = key;
  const auto is_read = [key, read = restarted->execution_id](
                           const Starts::Existing& existing) {
    if (!existing.status.has_value()) return NoSuchOrchestration(key);
    if (!IsFinished(*existing.status)) {
      return HasNotEnded(key, *existing.status);
    }
    if (existing.execution_id == read) return absl::OkStatus();
    return absl::AbortedError(absl::StrCat(
        "orchestration ", QuoteForMessage(key.id),
        " was started anew and has ended meanwhile; ask again to restart that "
        "run"));
  };
  Done<StartReceipt> traced =
      TraceStart(trace, restarted->request, std::move(done));
  engine_.starts_.StartIf(std::move(restarted->request), is_read,
                          std::move(traced));
}

void Restarts::RestartAsCopyLocked(const InstanceKey& key, std::string new_id,
                                   const CallTrace& trace,
                                   Done<StartReceipt> done) {
  engine_.mu_.AssertHeld();
  const auto copy = std::make_shared<Copy>(Copy{.key = key,
                                                .new_id = std::move(new_id),
                                                .trace = trace,
                                                .done = std::move(done)});
  engine_.lookups_.Add(
      key, [this, copy](const absl::StatusOr<std::optional<RunRow>>& row,
                        uint64_t reload) {
        copy->reload = reload;
        if (!row.ok()) return EndCopy(copy, row.status());
        BeginCopy(copy);
      });
}

void Restarts::BeginCopy(const std::shared_ptr<Copy>& copy) {
  absl::StatusOr<Restarted> restarted = ReadRestarted(copy->key);
  if (!restarted.ok()) return EndCopy(copy, restarted.status());
  restarted->request.key = {copy->key.tenant, copy->new_id};
  restarted->request.turn_time = {};
  const auto is_there = [this, copy](const Starts::Existing&) {
    engine_.mu_.AssertHeld();
    copy->outdated = engine_.lookups_.IsOutdated(copy->key, copy->reload);
    return copy->outdated ? absl::AbortedError("it was read before that")
                          : absl::OkStatus();
  };
  Done<StartReceipt> traced =
      TraceStart(copy->trace, restarted->request,
                 [this, copy](const absl::StatusOr<StartReceipt>& receipt) {
                   EndCopy(copy, receipt);
                 });
  engine_.starts_.StartIf(std::move(restarted->request), is_there,
                          std::move(traced));
}

void Restarts::EndCopy(const std::shared_ptr<Copy>& copy,
                       const absl::StatusOr<StartReceipt>& receipt) {
  {
    Engine::Section section(engine_);
    engine_.lookups_.End(copy->key, copy->reload);
    if (copy->outdated) {
      return RestartAsCopyLocked(copy->key, copy->new_id, copy->trace,
                                 copy->done);
    }
  }
  copy->done(receipt);
}

}  // namespace leasehold
