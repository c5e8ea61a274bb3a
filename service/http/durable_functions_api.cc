#include "service/http/durable_functions_api.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "lease/base/view.h"
#include "service/http/durable_functions_urls.h"

namespace leasehold {
namespace {

using StartCalls = DurableFunctionsStarts;
using InstanceCalls = DurableFunctionsInstances;
using EntitiesCalls = DurableFunctionsEntities;

// A handler of one of the three parts.
template <typename Part>
HttpHandler By(Part& part, void (Part::*serve)(const HttpCallPtr&)) {
  return [&part, serve](const HttpCallPtr& call) { (part.*serve)(call); };
}

}  // namespace

ManagementUrls PlainUrls(const HttpRequest& request, const InstanceKey&) {
  return {.origin = request.base_url};
}

std::vector<HttpRoute> DurableFunctionsApi::Routes() {
  struct Row {
    std::string_view method;
    std::string_view path;  // Below the prefix.
    std::string_view row;   // Of the method table, in our package.
    HttpHandler handler;
    char capability = '\0';
    bool (*waits)(const HttpRequest&) = nullptr;
  };
  const Row rows[] = {
      {"POST", "/orchestrators/{name}/", "Orchestration/Start",
       By(starts_, &StartCalls::Start), '\0', &StartCalls::Waits},
      {"POST", "/orchestrators/{name}/{id}/", "Orchestration/Start",
       By(starts_, &StartCalls::Start), '\0', &StartCalls::Waits},
      {"GET", "/instances/", "Orchestration/List",
       By(instances_, &InstanceCalls::List)},
      {"DELETE", "/instances/", "Orchestration/PurgeMany",
       By(instances_, &InstanceCalls::PurgeMany)},
      {"GET", "/instances/{id}/", "Orchestration/Get",
       By(instances_, &InstanceCalls::Status), 's'},
      {"DELETE", "/instances/{id}/", "Orchestration/Purge",
       By(instances_, &InstanceCalls::Purge)},
      {"POST", "/instances/{id}/terminate/", "Orchestration/Terminate",
       By(instances_, &InstanceCalls::Terminate), 't'},
      {"POST", "/instances/{id}/suspend/", "Orchestration/Suspend",
       By(instances_, &InstanceCalls::Suspend), 'u'},
      {"POST", "/instances/{id}/resume/", "Orchestration/Resume",
       By(instances_, &InstanceCalls::Resume), 'r'},
      {"POST", "/instances/{id}/rewind/", "Orchestration/Rewind",
       By(instances_, &InstanceCalls::Rewind)},
      {"POST", "/instances/{id}/restart/", "Orchestration/Restart",
       By(starts_, &StartCalls::Restart), '\0', &StartCalls::Waits},
      {"POST", "/instances/{id}/raiseEvent/{eventName}/",
       "Orchestration/RaiseEvent", By(instances_, &InstanceCalls::RaiseEvent),
       'e'},
      {"GET", "/entities/", "Entities/List",
       By(entities_, &EntitiesCalls::List)},
      {"GET", "/entities/{name}/", "Entities/List",
       By(entities_, &EntitiesCalls::List)},
      {"GET", "/entities/{name}/{key}/", "Entities/Get",
       By(entities_, &EntitiesCalls::Get)},
      {"POST", "/entities/{name}/{key}/", "Entities/Signal",
       By(entities_, &EntitiesCalls::Signal)},
      {"DELETE", "/entities/{name}/{key}/", "Entities/Signal",
       By(entities_, &EntitiesCalls::Delete)},
  };
  std::vector<HttpRoute> routes;
  for (const std::string_view prefix :
       {kDurableFunctionsPrefix, kDurableFunctionsAlias}) {
    for (const Row& row : rows) {
      routes.push_back({.method = std::string(row.method),
                        .pattern = absl::StrCat(View(prefix), View(row.path)),
                        .row = absl::StrCat("leasehold.v1.", View(row.row)),
                        .handler = row.handler,
                        .waits = row.waits,
                        .capability = row.capability});
    }
  }
  return routes;
}

}  // namespace leasehold
