#include "service/doors/echo_server.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/echo/echo_instance.h"
#include "service/instance/held_pin.h"
#include "service/rpc/server_call.h"
#include "service/rpc/stream_call.h"

namespace leasehold {
namespace {

// The most that a message has beside its text, mainly its instance ID.
constexpr size_t kEchoOverhead = 4 << 10;

// The reader of the room for a Join: woken and dropped through the stream.
std::shared_ptr<EchoRoom::Reader> MakeReader(
    const std::shared_ptr<StreamControl>& stream) {
  return std::make_shared<EchoRoom::Reader>(
      [stream] { stream->Notify(); },
      [stream] {
        stream->End(absl::ResourceExhaustedError(absl::StrCat(
            "the reader fell behind by more than ", EchoRoom::kEchoesMax,
            " echoes or ", EchoRoom::kBytesMax,
            " bytes; join again with after_sequence")));
      });
}

absl::Status CheckText(std::string_view text) {
  if (text.size() <= EchoServer::kTextBytesMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("text has ", text.size(), " bytes; at most ",
                   EchoServer::kTextBytesMax, " are allowed"));
}

}  // namespace

std::vector<HostedService::Method> EchoServer::Methods() {
  using enum MethodKind;
  using enum Role;
  using enum CallClass;
  return {
      {"Echo", kUnary, kUser, kCall,
       [this](MethodQueue& calls) {
         for (int i = 0; i < kEchoesAwaited; ++i) ServeEcho(calls);
       }},
      {"EchoStream", kBidiStream, kUser, kCall,
       [this](MethodQueue& calls) { ServeEchoStream(calls); }},
      {"Join", kServerStream, kUser, kCall,
       [this](MethodQueue& calls) { ServeJoin(calls); }},
  };
}

absl::StatusOr<InstanceRequest> EchoServer::Request(
    const ServerCall& call, std::string_view method,
    std::string_view text) const {
  if (absl::Status status = CheckText(text); !status.ok()) return status;
  absl::StatusOr<InstanceRequest> request = door_.Read(call);
  if (!request.ok()) return request;
  request->service_idle_timeout = idle_timeout_;
  if (observer_) observer_->OnRequest(method, *request, text);
  return request;
}

void EchoServer::Respond(InstanceContext& context, std::string_view method,
                         v1::EchoRequest& request,
                         v1::EchoResponse& response) const {
  const std::string_view id = context.id();
  response.set_instance_id(id.data(), id.size());
  response.set_generation(context.generation());
  response.set_sequence(EchoInstance::Of(context).Echo(request.text()));
  if (observer_) observer_->OnResponse(method, context, request.text());
  response.set_allocated_text(request.release_text());
}

CallTask EchoServer::ServeEcho(MethodQueue& calls) {
  UnaryCall<v1::EchoRequest, v1::EchoResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestEcho)) {
    co_return;
  }
  ServeEcho(calls);
  if (!co_await call.Parse()) co_return;

  absl::StatusOr<InstanceRequest> request =
      Request(call, "Echo", call.request().text());
  if (call.request().text().size() > ByteBudget::kSmallBytes && request.ok()) {
    if (absl::Status status = call.Admit(); !status.ok()) request = status;
  }
  PinAwaiter pinned(door_, std::move(request), call);
  absl::StatusOr<PinGrant> grant = co_await pinned;
  if (!grant.ok()) {
    co_await call.Finish(grant.status());
    co_return;
  }
  Respond(*grant->pin, "Echo", call.request(), call.response());
  // Before the answer goes out: a caller that has it may release the instance.
  grant->pin.Reset();
  co_await call.Finish(absl::OkStatus());
}

CallTask EchoServer::ServeEchoStream(MethodQueue& calls) {
  BidiStreamCall<v1::EchoRequest, v1::EchoResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestEchoStream)) {
    co_return;
  }
  ServeEchoStream(calls);
  if (!co_await call.Pass()) co_return;

  PinAwaiter pinned(door_, call.WithHeartbeat(Request(call, "EchoStream", "")),
                    call);
  absl::StatusOr<PinGrant> grant = co_await pinned;
  if (!grant.ok()) {
    co_await call.Finish(grant.status());
    co_return;
  }
  absl::Status status;
  {
    const HeldPin pin(std::move(grant->pin), PinKind::kEchoStream,
                      EndWhenReleased(call), HolderOf(call));
    v1::EchoResponse response;
    bool open = co_await call.SendInitialMetadata();
    call.BeginHeartbeats();
    while (open) {
      if (!co_await call.Read()) break;  // Not in the condition: g++.
      if (call.request().heartbeat()) continue;
      status = CheckText(call.request().text());
      if (!status.ok()) break;
      Respond(*pin, "EchoStream", call.request(), response);
      open = co_await call.Write(response);
    }
  }
  status = call.EndStatus(status);
  co_await call.Finish(status);
}

CallTask EchoServer::ServeJoin(MethodQueue& calls) {
  ServerStreamCall<v1::JoinRequest, v1::JoinResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestJoin)) {
    co_return;
  }
  ServeJoin(calls);
  if (!co_await call.Parse()) co_return;

  PinAwaiter pinned(door_, call.WithHeartbeat(Request(call, "Join", "")), call);
  absl::StatusOr<PinGrant> grant = co_await pinned;
  if (!grant.ok()) {
    co_await call.Finish(grant.status());
    co_return;
  }
  {
    const HeldPin pin(std::move(grant->pin), PinKind::kJoin,
                      EndWhenReleased(call), HolderOf(call));
    EchoRoom& room = EchoInstance::Of(*pin).Room();
    const std::shared_ptr<EchoRoom::Reader> reader = MakeReader(call.control());
    std::optional<uint64_t> after;
    if (call.request().has_after_sequence()) {
      after = call.request().after_sequence();
    }
    v1::JoinResponse response;
    response.mutable_joined()->set_instance_id(std::string(pin->id()));
    response.mutable_joined()->set_generation(pin->generation());
    response.mutable_joined()->set_sequence(room.Join(reader, after));
    bool open = co_await call.Write(response);
    call.BeginHeartbeats();
    while (open) {
      const EchoRoom::Batch batch = room.Read(*reader);
      if (batch.missed > 0) {
        response.mutable_lagged()->set_missed(batch.missed);
        open = co_await call.Write(response);
      }
      for (const EchoRoom::Echo& echo : batch.echoes) {
        // A long one is not created while there is no room for it; a reader
        // that waits too long for room falls behind, as above.
        open = open && co_await call.Room(echo.text->size() + kEchoOverhead);
        if (!open) break;
        v1::EchoResponse& said = *response.mutable_echo();
        said.set_text(*echo.text);
        said.set_instance_id(std::string(pin->id()));
        said.set_generation(pin->generation());
        said.set_sequence(echo.sequence);
        open = co_await call.Write(response);
        call.LeaveRoom();
      }
      if (open && batch.echoes.empty()) open = co_await call.News();
    }
    room.Leave(reader);
  }
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.Finish(status);
}

}  // namespace leasehold
