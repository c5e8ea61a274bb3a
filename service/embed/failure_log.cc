#include "service/embed/failure_log.h"

#include <grpc/support/log.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"

namespace leasehold {

void FailureLog::OnEvent(const InstanceEvent& event) {
  std::string what;
  switch (event.kind) {
    case InstanceEventKind::kThrew:
      what = absl::StrCat(std::string(event.code),
                          " threw: ", event.status.message());
      break;
    case InstanceEventKind::kDetachFailed:
      what = absl::StrCat("the detach hook of ", std::string(event.extension),
                          " failed: ", event.status.ToString());
      break;
    case InstanceEventKind::kOpenFailed:
      // Other codes are what an initializer has to say to its caller.
      if (!absl::IsInternal(event.status) &&
          !absl::IsUnavailable(event.status)) {
        return;
      }
      what = absl::StrCat("it was not opened: ", event.status.ToString());
      break;
    default:
      return;
  }
  gpr_log(GPR_ERROR, "leasehold: tenant %s, instance %s, generation %llu: %s",
          std::string(event.tenant).c_str(),
          QuoteForMessage(event.instance_id).c_str(),
          static_cast<unsigned long long>(event.generation), what.c_str());
}

}  // namespace leasehold
