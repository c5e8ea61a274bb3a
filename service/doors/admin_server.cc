#include "service/doors/admin_server.h"

#include <utility>

#include "service/doors/instance_messages.h"
#include "service/doors/orchestration_call.h"
#include "service/rpc/server_call.h"

namespace leasehold {

std::vector<HostedService::Method> AdminServer::Methods() {
  using enum MethodKind;
  using enum Role;
  using enum CallClass;
  const auto explain = [this](auto& call, const DoneStatus& done) {
    const auto key = door_.ReadKey(call, call.request().instance_id());
    if (!key.ok()) return done(key.status());
    explanations_.Explain(
        *key, [this, &call, done](absl::StatusOr<Explanation> explanation) {
          if (explanation.ok()) {
            ToMessage(*std::move(explanation), address_of_, call.response());
          }
          done(explanation.status());
        });
  };
  return {{"Workers", kUnary, kViewer, kRead,
           [this](MethodQueue& calls) { ServeWorkers(calls); }},
          {"Explain", kUnary, kViewer, kRead,
           [this, explain](MethodQueue& calls) {
             ServeUnary<v1::ExplainRequest, v1::Explanation>(
                 service_, calls, &Service::RequestExplain, explain);
           }},
          // Whoever watches a server must see it in an overload, too.
          {"Stats", kUnary, kViewer, kEssential,
           [this](MethodQueue& calls) { ServeStats(calls); }}};
}

CallTask AdminServer::ServeWorkers(MethodQueue& calls) {
  UnaryCall<v1::WorkersRequest, v1::WorkersResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestWorkers)) co_return;
  ServeWorkers(calls);
  if (!co_await call.Parse()) co_return;

  const absl::StatusOr<WorkersQuery> query =
      FromMessage(call.request(), call.caller());
  absl::Status status = query.status();
  if (status.ok()) {
    const absl::StatusOr<WorkersPage> page = workers_.ListWorkers(*query);
    status = page.status();
    if (status.ok()) ToMessage(*page, address_of_, call.response());
  }
  co_await call.Finish(status);
}

CallTask AdminServer::ServeStats(MethodQueue& calls) {
  UnaryCall<v1::StatsRequest, v1::StatsResponse> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestStats)) co_return;
  ServeStats(calls);
  if (!co_await call.Parse()) co_return;

  const StatsScope scope = {.whole_server = call.caller().sees_server,
                            .tenant = call.caller().tenant};
  ToMessage(stats_.Collect(scope), call.request(), call.response());
  call.response().set_whole_server(scope.whole_server);
  ToMessage(clock_.WallNow(), *call.response().mutable_time());
  co_await call.Finish(absl::OkStatus());
}

}  // namespace leasehold
