// HttpApis: what is served over HTTP beside health: the Durable Functions API,
// the dashboard's, and the dashboard's pages.
//
// Thread-safety: one thread.   Lifetime: what is passed outlives it; it
// outlives the server.
#ifndef LEASEHOLD_SERVICE_HOST_HTTP_APIS_H_
#define LEASEHOLD_SERVICE_HOST_HTTP_APIS_H_

#include <memory>

#include "lease/clock.h"
#include "service/host/http_host.h"
#include "service/host/http_options.h"
#include "service/host/orchestration_host.h"
#include "service/host/server_host.h"
#include "service/http/dashboard_api.h"
#include "service/http/durable_functions_api.h"
#include "service/instance/executor.h"
#include "service/security/access_control.h"

namespace leasehold {

class HttpApis {
 public:
  // Adds all routes to `http`. `access`: null if everybody may do everything.
  // REQUIRES: `http` is open, and all services were added to `host`.
  HttpApis(const HttpOptions& options, Clock& clock, ServerHost& host,
           OrchestrationHost& orchestrations, HttpHost& http,
           AccessControl* access);
  ~HttpApis();

  // Starts what tells browsers of changes, and ends waits.
  void Start();
  // Ends the streams of browsers, so that the server's end need not wait for
  // them.
  void Stop() { dashboard_.Stop(); }

 private:
  // Ends before the others: what is queued there is theirs.
  std::unique_ptr<ThreadExecutor> lists_ = std::make_unique<ThreadExecutor>(1);
  DurableFunctionsApi durable_functions_;
  DashboardApi dashboard_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_HTTP_APIS_H_
