#include "service/http/durable_functions_capabilities.h"

#include "absl/strings/str_cat.h"
#include "service/http/durable_functions_urls.h"

namespace leasehold {

ManagementUrlsOf CapabilityUrls(const Capabilities& capabilities,
                                absl::Duration lifetime) {
  return [&capabilities, lifetime](const HttpRequest& request,
                                   const InstanceKey& key) {
    ManagementUrls urls{.origin = request.base_url};
    urls.query = absl::StrCat("taskHub=", PathSegment(key.tenant));
    const absl::StatusOr<std::string> code = capabilities.Make(
        {.tenant = key.tenant, .instance_id = key.id},
        request.query.Get("capabilities", kCapabilitiesByDefault), lifetime);
    // Otherwise they are good for those who have a credential.
    if (code.ok()) absl::StrAppend(&urls.query, "&code=", *code);
    return urls;
  };
}

}  // namespace leasehold
