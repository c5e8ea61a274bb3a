#include "service/host/http_apis.h"

#include <string>

#include "service/http/durable_functions_capabilities.h"
#include "service/http/session_api.h"
#include "service/http/ui_assets.h"
#include "service/security/capability.h"

namespace leasehold {
namespace {

ManagementUrlsOf UrlsOf(const Capabilities* capabilities) {
  if (capabilities == nullptr) return PlainUrls;
  return CapabilityUrls(*capabilities, capabilities->lifetime_max());
}

}  // namespace

HttpApis::HttpApis(Clock& clock, ServerHost& host,
                   OrchestrationHost& orchestrations, HttpHost& http,
                   AccessControl* access)
    : durable_functions_(orchestrations.orchestrations(),
                         orchestrations.entities(), clock,
                         UrlsOf(http.capabilities())),
      dashboard_(
          {.clock = clock,
           .registry = host.registry(),
           .contexts = host.watch_hub(),
           .orchestrations = orchestrations.orchestrations(),
           .executor = lists_,
           .work = {.workers = orchestrations.workers(),
                    .explanations = orchestrations.explanations(),
                    .entities = orchestrations.entities(),
                    .address_of =
                        [&callers = host.callers()](const std::string& peer) {
                          return callers.Find(peer);
                        }},
           .version = LEASEHOLD_VERSION}) {
  http.Add(durable_functions_.Routes());
  http.Add(dashboard_.Routes());
  http.Add(SessionRoutes(access, http.sessions()));
  http.Add(UiRoutes());
}

void HttpApis::Start() {
  durable_functions_.StartTimeouts();
  dashboard_.Start();
}

}  // namespace leasehold
