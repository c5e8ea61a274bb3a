// DurableFunctionsStarts: the calls of the Durable Functions HTTP API that
// start an orchestration, and answer with its URLs or with what it comes to.
//
// Thread-safety: safe.   Lifetime: the port, the alarms and what makes URLs
// outlive it and the calls.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_STARTS_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_STARTS_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "service/http/durable_functions_call.h"
#include "service/http/durable_functions_urls.h"
#include "service/instance/alarm_clock.h"
#include "service/orchestration/orchestrations.h"

namespace leasehold {

// What may be done by the URLs of a start, unless it says otherwise, and what
// it may ask for; letters of service/security/capability.h.
inline constexpr std::string_view kCapabilitiesByDefault = "setur";
inline constexpr std::string_view kCapabilities = "shetur";

// Which URLs the maker of `request` is given for an instance of his.
using ManagementUrlsOf = std::function<ManagementUrls(
    const HttpRequest& request, const InstanceKey& key)>;

class DurableFunctionsStarts {
 public:
  // The longest wait that a call may ask for; a longer one is cut.
  static constexpr absl::Duration kTimeoutMax = absl::Minutes(5);

  DurableFunctionsStarts(Orchestrations& orchestrations, AlarmClock& alarms,
                         ManagementUrlsOf urls)
      : orchestrations_(orchestrations),
        alarms_(alarms),
        urls_(std::move(urls)) {}

  // Whether a start or restart waits for the end.
  static bool Waits(const HttpRequest& request) {
    return request.query.Has("timeout") && request.query.Has("pollingInterval");
  }

  void Start(const HttpCallPtr& call);
  void Restart(const HttpCallPtr& call);

 private:
  class CompletionWait;

  // Answers a start that was done, at once or once `timeout` is over.
  void Answer(const HttpCallPtr& call, const StartReceipt& receipt,
              std::optional<absl::Duration> timeout);
  HttpResponse CheckStatusResponse(const HttpRequest& request,
                                   const StartReceipt& receipt) const;

  Orchestrations& orchestrations_;
  AlarmClock& alarms_;
  const ManagementUrlsOf urls_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_STARTS_H_
