#include "service/host/http_apis.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <utility>

#include "service/host/dashboard_figures.h"
#include "service/http/durable_functions_capabilities.h"
#include "service/http/durable_functions_urls.h"
#include "service/http/http_message.h"
#include "service/http/session_api.h"
#include "service/http/ui_assets.h"
#include "service/security/capability.h"

namespace leasehold {
namespace {

ManagementUrlsOf UrlsOf(const Capabilities* capabilities) {
  if (capabilities == nullptr) return PlainUrls;
  return CapabilityUrls(*capabilities, capabilities->lifetime_max());
}

// The URLs of `key`: the message has the names of Durable Functions in its
// JSON.
void Write(const ManagementUrls& urls, const InstanceKey& key,
           v1::ManagementUrls& message) {
  const google::protobuf::Descriptor* const type = message.GetDescriptor();
  for (auto& [name, url] : urls.Of(key.id)) {
    const google::protobuf::FieldDescriptor* const field =
        type->FindFieldByCamelcaseName(std::string(name));
    if (field == nullptr) continue;
    message.GetReflection()->SetString(&message, field, std::move(url));
  }
}

}  // namespace

HttpApis::HttpApis(const HttpOptions& options, Clock& clock, ServerHost& host,
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
           .strips = host.strips(),
           .executor = *lists_,
           .work = {.workers = orchestrations.workers(),
                    .explanations = orchestrations.explanations(),
                    .entities = orchestrations.entities(),
                    .address_of =
                        [&callers = host.callers()](const std::string& peer) {
                          return callers.Find(peer);
                        }},
           .figures = FiguresOf(host, orchestrations, http, access),
           .run_for =
               [&http](const std::shared_ptr<const Caller>& caller,
                       HttpRequest request, HttpCall::Answer answer) {
                 http.RunFor(caller, std::move(request), std::move(answer));
               },
           .version = LEASEHOLD_VERSION}) {
  if (!http.base_url().empty()) {
    orchestrations.UseUrls(
        [urls_of = UrlsOf(http.capabilities()), base_url = http.base_url()](
            const InstanceKey& key, v1::ManagementUrls& urls) {
          HttpRequest request;
          request.base_url = base_url;
          Write(urls_of(request, key), key, urls);
        });
  }
  http.Add(durable_functions_.Routes());
  http.Add(dashboard_.Routes());
  http.Add(SessionRoutes(access, http.sessions()));
  http.Add(UiRoutes(options.assets));
}

HttpApis::~HttpApis() {
  Stop();  // No batch goes on, so that none queues more.
  lists_.reset();
}

void HttpApis::Start() {
  durable_functions_.StartTimeouts();
  dashboard_.Start();
}

}  // namespace leasehold
