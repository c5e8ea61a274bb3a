#include "service/doors/instance_call.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

std::string_view View(grpc::string_ref s) { return {s.data(), s.size()}; }

}  // namespace

absl::StatusOr<InstanceRequest> InstanceDoor::Read(
    const ServerCall& call) const {
  if (refusing_.load(std::memory_order_acquire)) {
    return absl::UnavailableError("the server is shutting down");
  }
  return ReadFor(call.caller(), call.context());
}

absl::StatusOr<InstanceRequest> InstanceDoor::Read(
    const grpc::ServerContextBase& call, const MethodInfo& method) const {
  if (gatekeeper_ == nullptr) return ReadFor(*Anonymous(), call);
  std::shared_ptr<const Caller> caller;
  absl::Status admitted = gatekeeper_->Admit(call, method, caller);
  if (!admitted.ok()) return admitted;
  return ReadFor(*caller, call);
}

absl::StatusOr<InstanceRequest> InstanceDoor::ReadFor(
    const Caller& caller, const grpc::ServerContextBase& call) const {
  InstanceHeaderReader reader(names_);
  for (const auto& [name, value] : call.client_metadata()) {
    reader.Add(View(name), View(value));
  }
  return reader.Finish(caller.tenant);
}

absl::StatusOr<InstanceRequest> InstanceDoor::Read(
    const ServerCall& call, const std::string& field) const {
  absl::StatusOr<InstanceRequest> request = Read(call);
  if (!request.ok() || field.empty()) return request;
  absl::StatusOr<InstanceKey> key =
      MakeInstanceKey(call.caller().tenant, field, "instance_id");
  if (!key.ok()) return key.status();
  if (!request->id_generated && request->key != *key) {
    return absl::InvalidArgumentError(
        absl::StrCat("instance_id: the field says ", QuoteForMessage(key->id),
                     " and the header ", QuoteForMessage(request->key.id),
                     "; give one of them, or the same"));
  }
  request->key = *std::move(key);
  request->id_generated = false;
  return request;
}

absl::StatusOr<InstanceKey> InstanceDoor::ReadKey(
    const ServerCall& call, const std::string& field) const {
  absl::StatusOr<InstanceRequest> request = Read(call, field);
  if (!request.ok()) return request.status();
  if (request->id_generated) {
    return absl::InvalidArgumentError(
        absl::StrCat("the call names no instance; set instance_id, or the "
                     "header ",
                     names_.text));
  }
  return std::move(request->key);
}

void InstanceDoor::Write(const Met& met, grpc::ServerContextBase& call) const {
  call.AddInitialMetadata(std::string(kGenerationHeader),
                          absl::StrCat(met.generation));
  if (!met.created) return;
  // gRPC aborts on a text header with illegal bytes.
  const bool text = IsTextHeaderId(met.id);
  call.AddInitialMetadata(text ? names_.text : names_.binary,
                          std::string(met.id));
  call.AddInitialMetadata(std::string(kCreatedHeader), "true");
  call.AddInitialMetadata(
      std::string(kIdleTimeoutMsHeader),
      absl::StrCat(absl::ToInt64Milliseconds(met.idle_timeout)));
}

namespace {

std::string FullName(std::string_view service, std::string_view method) {
  if (service.empty()) return std::string(method);
  return absl::StrCat(std::string(service), "/", std::string(method));
}

}  // namespace

std::unique_ptr<const PinHolder> HolderOf(const ServerCall& call) {
  const MethodInfo& method = call.method();
  return std::make_unique<const PinHolder>(
      PinHolder{.method = FullName(method.service, method.name),
                .peer = call.context().peer(),
                .identity = call.caller().name});
}

std::vector<std::pair<std::string, std::string>> CallMetadata::Copy() const {
  std::vector<std::pair<std::string, std::string>> copy;
  for (const auto& [name, value] : call_.client_metadata()) {
    copy.emplace_back(View(name), View(value));
  }
  return copy;
}

std::string CallMetadata::Method() const { return FullName(service_, method_); }

bool PinAwaiter::await_suspend(std::coroutine_handle<> coroutine) {
  waiting_ = coroutine;
  // From here on OnGrant may come on another thread. It resumes on this one, so
  // not before this function has returned.
  std::optional<absl::StatusOr<PinGrant>> answer =
      door_.registry().Acquire(*this);
  if (answer.has_value()) {
    answer_ = std::move(answer);
    return false;
  }
  if (call_.cancelled()) {
    OnCancelled();
  } else {
    call_.set_cancel_handler(this);
  }
  return true;
}

void PinAwaiter::OnGrant(absl::StatusOr<PinGrant> grant) {
  answer_ = std::move(grant);
  call_.queue().Resume(waiting_);
}

void PinAwaiter::OnCancelled() {
  if (!door_.registry().CancelWait(*this))
    return;  // OnGrant comes, or has come.
  answer_ =
      absl::CancelledError("the call ended while it waited for its instance");
  call_.queue().Resume(waiting_);
}

}  // namespace leasehold
