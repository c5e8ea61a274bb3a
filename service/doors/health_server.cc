#include "service/doors/health_server.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "service/rpc/server_call.h"
#include "service/rpc/stream_call.h"

namespace leasehold {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus HealthServer::StatusOf(
    const std::string& name) const {
  if (!name.empty() && !services_.contains(name)) {
    return HealthCheckResponse::SERVICE_UNKNOWN;
  }
  return draining_ ? HealthCheckResponse::NOT_SERVING
                   : HealthCheckResponse::SERVING;
}

std::vector<HostedService::Method> HealthServer::Methods() {
  using enum MethodKind;
  using enum Role;
  using enum CallClass;
  return {
      {"Check", kUnary, kAnyone, kEssential,
       [this](MethodQueue& calls) { ServeCheck(calls); }},
      {"Watch", kServerStream, kAnyone, kEssential,
       [this](MethodQueue& calls) { ServeWatch(calls); }, Lasting::kWatch},
  };
}

CallTask HealthServer::ServeCheck(MethodQueue& calls) {
  UnaryCall<HealthCheckRequest, HealthCheckResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestCheck)) {
    co_return;
  }
  ServeCheck(calls);
  if (!co_await call.Parse()) co_return;

  absl::Status status;
  const auto health = StatusOf(call.request().service());
  if (health == HealthCheckResponse::SERVICE_UNKNOWN) {
    status = absl::NotFoundError(
        absl::StrCat("there is no service ",
                     QuoteForMessage(call.request().service()), " here"));
  }
  call.response().set_status(health);
  co_await call.Finish(status);
}

CallTask HealthServer::ServeWatch(MethodQueue& calls) {
  ServerStreamCall<HealthCheckRequest, HealthCheckResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestWatch)) {
    co_return;
  }
  ServeWatch(calls);
  if (!co_await call.Parse()) co_return;

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
