#include "service/server/health_server.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "leasehold/v1/echo.grpc.pb.h"
#include "leasehold/v1/instances.grpc.pb.h"

namespace leasehold {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus HealthServer::StatusOf(
    const std::string& name) const {
  if (!name.empty() && name != v1::Echo::service_full_name() &&
      name != v1::Instances::service_full_name()) {
    return HealthCheckResponse::SERVICE_UNKNOWN;
  }
  return draining_ ? HealthCheckResponse::NOT_SERVING
                   : HealthCheckResponse::SERVING;
}

CallTask HealthServer::ServeCheck(RpcQueue& queue) {
  UnaryCall<HealthCheckRequest, HealthCheckResponse> call(queue);
  if (!co_await call.Accept(service_, &Health::AsyncService::RequestCheck)) {
    co_return;
  }
  ServeCheck(queue);

  absl::Status status;
  const auto health = StatusOf(call.request().service());
  if (health == HealthCheckResponse::SERVICE_UNKNOWN) {
    status = absl::NotFoundError(absl::StrCat(
        "there is no service \"", call.request().service(), "\" here"));
  }
  call.response().set_status(health);
  co_await call.Finish(status);
}

CallTask HealthServer::ServeWatch(RpcQueue& queue) {
  ServerStreamCall<HealthCheckRequest, HealthCheckResponse> call(queue);
  if (!co_await call.Accept(service_, &Health::AsyncService::RequestWatch)) {
    co_return;
  }
  ServeWatch(queue);

  HealthCheckResponse response;
  response.set_status(StatusOf(call.request().service()));
  bool open = co_await call.Write(response);
  // It changes once, when the drain begins, and that ends all streams.
  while (open) open = co_await call.News();
  response.set_status(StatusOf(call.request().service()));
  const absl::Status status = call.EndStatus(absl::OkStatus());
  co_await call.FinishWith(response, status);
}

}  // namespace leasehold
