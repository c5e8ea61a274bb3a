#include "client/cli/singleton_demo.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/wire/channel.h"

namespace leasehold::client::cli {
namespace {

// How long a turn may take on a busy machine.
constexpr absl::Duration kTurnPatience = absl::Seconds(10);
constexpr absl::Duration kValuePoll = absl::Milliseconds(10);

StartOptions CounterStart(const std::string& id) {
  StartOptions options;
  options.name = "Counter";
  options.instance_id = id;
  options.input = "0";
  return options;
}

}  // namespace

SingletonDemo::SingletonDemo(std::string id, const GlobalOptions& global,
                             Surroundings& surroundings, Output& output)
    : id_(std::move(id)),
      surroundings_(surroundings),
      output_(output),
      client_(OpenChannel(global), global.address, global.timeout) {}

absl::Status SingletonDemo::Run() {
  output_.SayLine(absl::StrCat("Singleton ID: ", id_));
  absl::Status status = Ensure(/*created=*/true);
  if (absl::IsUnimplemented(status)) {
    output_.SayLine("This server has no orchestrations.");
    return absl::OkStatus();
  }
  if (status.ok()) status = Ensure(/*created=*/false);
  if (status.ok()) status = Operate(R"({"add":3})");
  if (status.ok()) status = Operate(R"({"add":-1})");
  if (status.ok()) status = AwaitValue("2");
  if (status.ok()) status = End();
  if (status.ok()) status = Refuse();
  if (!status.ok()) return status;
  const absl::StatusOr<int64_t> purged = client_.Purge(id_);
  if (!purged.ok()) return purged.status();
  output_.SayLine("Purged: the ID is free again.");
  return output_.status();
}

absl::Status SingletonDemo::Ensure(bool created) {
  StartOptions options = CounterStart(id_);
  options.if_active = IfActive::kAttach;
  options.if_finished = IfFinished::kAttach;
  const auto receipt = client_.Start(options);
  if (!receipt.ok()) return receipt.status();
  if (receipt->created != created) {
    return absl::InternalError(
        created ? "expected the singleton to be created, but it was there"
                : "expected the singleton to be there, but it was created");
  }
  if (created) {
    execution_id_ = receipt->execution_id;
    output_.SayLine(
        absl::StrCat("Creating singleton instance with ID = ", id_));
    return absl::OkStatus();
  }
  if (receipt->execution_id != execution_id_) {
    return absl::InternalError(absl::StrCat("expected the execution ",
                                            execution_id_, ", got ",
                                            receipt->execution_id));
  }
  output_.SayLine(absl::StrCat("Ensured again: it is there, execution ",
                               execution_id_, "."));
  return absl::OkStatus();
}

absl::Status SingletonDemo::Operate(const std::string& operation) {
  output_.SayLine(absl::StrCat("Raise event: operation ", operation));
  return client_.RaiseEvent(id_, "operation", operation);
}

absl::Status SingletonDemo::AwaitValue(const std::string& value) {
  const absl::Time end = surroundings_.now() + kTurnPatience;
  while (true) {
    const auto state = client_.Get(id_);
    if (!state.ok()) return state.status();
    if (!state->has_value()) {
      return absl::InternalError("expected the singleton, but it is gone");
    }
    const std::string seen = (*state)->custom_status.value_or("nothing");
    if (seen == value) break;
    if (surroundings_.now() >= end) {
      return absl::InternalError(
          absl::StrCat("expected the counter to read ", value, ", got ", seen,
                       "; it is ", OrchestrationStatusName((*state)->status),
                       ". Does the server run with --builtin=on?"));
    }
    surroundings_.sleep(kValuePoll);
  }
  output_.SayLine(absl::StrCat("The counter reads ", value, "."));
  return absl::OkStatus();
}

absl::Status SingletonDemo::End() {
  if (absl::Status status = Operate(R"("end")"); !status.ok()) return status;
  const auto state = client_.WaitForCompletion(id_, kTurnPatience);
  if (!state.ok()) return state.status();
  if (state->status != OrchestrationStatus::kCompleted ||
      state->output != "2") {
    return absl::InternalError(
        absl::StrCat("expected COMPLETED with 2, got ",
                     OrchestrationStatusName(state->status), " with ",
                     state->output.value_or("nothing")));
  }
  output_.SayLine("It has ended: COMPLETED, output 2.");
  return absl::OkStatus();
}

absl::Status SingletonDemo::Refuse() {
  const auto receipt = client_.Start(CounterStart(id_));
  if (receipt.ok()) {
    return absl::InternalError("expected the ID to be taken, but it was free");
  }
  if (!absl::IsAlreadyExists(receipt.status())) return receipt.status();
  output_.SayLine(absl::StrCat("Started again: ", receipt.status().ToString()));
  return absl::OkStatus();
}

}  // namespace leasehold::client::cli
