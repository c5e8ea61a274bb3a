#include "service/server/echo_server.h"

#include <string>
#include <utility>

#include "service/echo/echo_instance.h"

namespace leasehold {

CallTask EchoServer::ServeEcho(RpcQueue& queue) {
  UnaryCall<v1::EchoRequest, v1::EchoResponse> call(queue);
  if (!co_await call.Accept(service_, &v1::Echo::AsyncService::RequestEcho)) {
    co_return;
  }
  ServeEcho(queue);

  absl::StatusOr<InstanceRequest> request = door_.Read(call.context());
  if (!request.ok()) {
    co_await call.Finish(request.status());
    co_return;
  }
  if (console_) console_->OnRequest("Echo", *request, call.request().text());
  PinAwaiter pinned(door_.registry(), *std::move(request), call);
  absl::StatusOr<PinGrant> grant = co_await pinned;
  if (!grant.ok()) {
    co_await call.Finish(grant.status());
    co_return;
  }

  InstanceContext& context = *grant->pin;
  door_.Write(*grant, call.context());
  v1::EchoResponse& response = call.response();
  response.set_text(call.request().text());
  response.set_instance_id(std::string(context.id()));
  response.set_generation(context.generation());
  response.set_sequence(EchoInstance::Of(context).Count());
  if (console_) console_->OnResponse("Echo", context, response.text());
  co_await call.Finish(absl::OkStatus());
}

}  // namespace leasehold
