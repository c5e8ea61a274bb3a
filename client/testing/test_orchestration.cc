#include "client/testing/test_orchestration.h"

#include <functional>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/testing/code_run.h"
#include "client/testing/test_world.h"

namespace leasehold::testkit {
namespace {

using InfoStatus = leasehold::OrchestrationStatus;

worker::Payload Reason(std::string_view reason) {
  if (reason.empty()) return std::nullopt;
  return std::string(reason);
}

// Calls the server about the orchestration. `what`: `raise an event to`.
void Do(TestWorld& world, const std::string& id, const char* what,
        const std::function<void(Orchestrations&, const InstanceKey&,
                                 DoneStatus)>& call) {
  const absl::Status status =
      world.Call([&](Orchestrations& server, DoneStatus done) {
        call(server, TestWorld::KeyOf(id), std::move(done));
      });
  if (status.ok()) return;
  world.Fail(absl::StrCat("the server has refused to ", what,
                          " orchestration \"", id,
                          "\": ", std::string(status.message())));
}

}  // namespace

// ---- Its end ----------------------------------------------------------------

void TestOrchestration::AwaitEnd() const {
  if (!world_->RunUntilEnded(id_)) world_->Fail(id_, "end");
}

worker::Payload TestOrchestration::AwaitOutput() const {
  if (!world_->RunUntilEnded(id_) ||
      world_->Get(id_).status != InfoStatus::kCompleted) {
    world_->Fail(id_, "complete");
  }
  return world_->Get(id_).output;
}

worker::TaskFailure TestOrchestration::Failure() const {
  if (!world_->RunUntilEnded(id_) ||
      world_->Get(id_).status != InfoStatus::kFailed) {
    world_->Fail(id_, "fail");
  }
  return DecodeFailure(world_->Get(id_).failure.bytes.value_or(""));
}

void TestOrchestration::FailOutput(std::string_view why) const {
  world_->Fail(
      id_, absl::StrCat("complete with another type (", std::string(why), ")"));
}

// ---- Its state --------------------------------------------------------------

std::string TestOrchestration::Status() const {
  return absl::AsciiStrToUpper(
      std::string(StatusName(world_->Get(id_).status)));
}

worker::Payload TestOrchestration::CustomStatusPayload() const {
  return world_->Get(id_).summary.custom_status;
}

void TestOrchestration::FailCustomStatus(std::string_view why) const {
  world_->Fail(
      absl::StrCat("the custom status of orchestration \"", id_,
                   "\" was expected to have another type: ", std::string(why)));
}

std::string TestOrchestration::WaitsFor() const {
  return world_->WaitsFor(id_);
}

std::vector<std::string> TestOrchestration::History() const {
  world_->Get(id_);  // Throws if there is none.
  return world_->HistoryLines(id_);
}

// ---- What callers can do ----------------------------------------------------

void TestOrchestration::Raise(std::string_view name,
                              worker::Payload data) const {
  Do(*world_, id_, "send an event to",
     [&](Orchestrations& server, const InstanceKey& key, DoneStatus done) {
       server.RaiseEvent(key, std::string(name), std::move(data),
                         std::move(done));
     });
}

void TestOrchestration::Suspend(std::string_view reason) const {
  Do(*world_, id_, "suspend",
     [&](Orchestrations& server, const InstanceKey& key, DoneStatus done) {
       server.Suspend(key, Reason(reason), std::move(done));
     });
}

void TestOrchestration::Resume(std::string_view reason) const {
  Do(*world_, id_, "resume",
     [&](Orchestrations& server, const InstanceKey& key, DoneStatus done) {
       server.Resume(key, Reason(reason), std::move(done));
     });
}

void TestOrchestration::TerminateWith(worker::Payload output) const {
  Do(*world_, id_, "terminate",
     [&](Orchestrations& server, const InstanceKey& key, DoneStatus done) {
       server.Terminate(key, std::move(output), /*recursive=*/true,
                        std::move(done));
     });
}

void TestOrchestration::Rewind(std::string_view reason) const {
  Do(*world_, id_, "rewind",
     [&](Orchestrations& server, const InstanceKey& key, DoneStatus done) {
       server.Rewind(key, Reason(reason), std::move(done));
     });
}

}  // namespace leasehold::testkit
