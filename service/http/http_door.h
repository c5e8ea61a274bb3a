// HttpDoor: all that is decided about a request between the listener, which
// has read it, and the handler, which answers it: whether it is for us, where
// it goes, who makes it, and whether there is room.
//
//   the host is not ours                                   421
//   a page of somebody else's asks (Origin, Sec-Fetch-Site)  403
//   no such path, no such method of it                     404, 405
//   the gatekeeper, as over gRPC                           401, 403, 429
//   too many that read the store at once, or the end       503
//
// It knows no sockets; tests call it as the listener does.
//
// Thread-safety: Admit and Run on one thread; Drain and RunFor are safe;
// answers come on any thread.   Lifetime: what the options name outlives it and
// all calls.
#ifndef LEASEHOLD_SERVICE_HTTP_HTTP_DOOR_H_
#define LEASEHOLD_SERVICE_HTTP_HTTP_DOOR_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "lease/base/cells.h"
#include "lease/clock.h"
#include "service/http/client_certificate.h"
#include "service/http/fair_room.h"
#include "service/http/host_list.h"
#include "service/http/http_call.h"
#include "service/http/http_message.h"
#include "service/http/http_route.h"
#include "service/rpc/caller.h"
#include "service/rpc/method_info.h"
#include "service/security/access_control.h"
#include "service/security/capability.h"
#include "service/security/sessions.h"
#include "service/tracing/tracer.h"

namespace leasehold {

// The statuses that answers have, from 200 on; all others count as the last.
inline constexpr std::array kHttpStatuses = {
    200, 202, 204, 301, 302, 303, 304, 308, 400, 401, 403,
    404, 405, 408, 409, 410, 411, 412, 413, 414, 415, 417,
    421, 422, 429, 431, 499, 500, 501, 503, 504, 505, 0};
inline constexpr size_t kHttpCodes = kHttpStatuses.size();

// How a request ended, for the audit log.
struct HttpReport {
  const MethodInfo& method;
  const HttpRequest& request;
  const Caller* caller;  // Null: nobody is known.
  bool by_capability;    // The URL's `code` was the credential.
  bool refused;          // By the gatekeeper.
  std::string_view instance_id;
  absl::StatusCode code;
};

struct HttpDoorOptions {
  HostList hosts = HostList({}, false);
  // What URLs begin with, whatever the client calls us:
  // `https://HOST[:PORT][/PATH]`. Empty: as the client calls us.
  std::string public_url;
  // Each may be null: then everybody may do everything, and `code` says
  // nothing.
  AccessControl* access = nullptr;
  const Capabilities* capabilities = nullptr;
  const Sessions* sessions = nullptr;
  // Is told of refusals, and of the methods of `watches`. May be empty.
  std::function<bool(const MethodInfo&)> watches;
  std::function<void(const HttpReport&)> report;
  // Makes a span for each admitted request. Null: none are made.
  Tracer* tracer = nullptr;
  // Requests that read the store at once. A tenant may have as many of them as
  // are still free, so that there is room for the others.
  size_t reads_max = 128;
};

class HttpDoor {
 public:
  HttpDoor(const Clock& clock, HttpDoorOptions options);

  // Serves these too. `methods`: the rows of all gRPC methods. Before the first
  // request.
  void Add(std::vector<HttpRoute> routes,
           const std::vector<MethodInfo>& methods);

  // From now on new requests are told that the server ends, except for what is
  // open to everybody.
  void Drain() { draining_ = true; }

  // A request that may be made.
  class Admitted {
   private:
    friend class HttpDoor;
    const HttpRouter::Entry* entry = nullptr;
    Lasting lasting = Lasting::kNo;
    bool by_capability = false;
    std::shared_ptr<void> room;  // Among those that read the store.
  };
  // Decides by the head of `request`, and sets its caller, params and base_url.
  // Otherwise the answer.
  std::variant<Admitted, HttpResponse> Admit(
      HttpRequest& request, bool is_encrypted,
      const ClientCertificate& certificate);

  // How many bytes bodies of the caller's tenant may have together, where all
  // may have `all`, and one `one`. 0: the tenant has no limit of its own.
  size_t BodyBytesMax(const Caller& caller, size_t all, size_t one) const {
    return options_.access == nullptr
               ? 0
               : options_.access->KeptBytesMax(caller.tenant, all, one);
  }

  // Has the handler answer it. `answer` is called once, on any thread, unless
  // the call is gone before.
  std::shared_ptr<HttpCall> Run(Admitted admitted, HttpRequest request,
                                HttpCall::Answer answer);

  // Serves a request that does a part of one which was admitted, by the same
  // caller: on any thread, once it serves. He must have the role for it, it
  // counts for his tenant's limits, and whoever is told of requests is told.
  void RunFor(const std::shared_ptr<const Caller>& caller, HttpRequest request,
              HttpCall::Answer answer);

  // Whether a request stays open until something happens, so that a client that
  // says no more has gone.
  static bool Lasts(const Admitted& admitted);
  // How large its body may be; 0: as large as the listener allows.
  static size_t BodyMax(const Admitted& admitted);

  // How requests of each group of routes were answered, and how long those of
  // them took that do not stay open. Safe.
  struct Counts {
    std::array<std::array<uint64_t, kHttpCodes>, kHttpGroups> answers = {};
    std::array<HistogramReading, kHttpGroups> times = {};
  };
  Counts counts() const;
  // A request was refused before it had a route.
  void CountUnread(int status) { Count(HttpGroup::kNone, status); }

  // Adds what all answers carry.
  void Complete(HttpResponse& response) const;

 private:
  // `own`: what pages of ours have as their origin.
  std::variant<Admitted, HttpResponse> Decide(
      HttpRequest& request, bool is_encrypted,
      const ClientCertificate& certificate, const HttpRouter::Entry*& entry);
  absl::Status CheckOrigin(const HttpRequest& request,
                           const std::string& own) const;
  // `method`: that of `entry`, and how this request stays open.
  absl::Status Authorize(HttpRequest& request, const HttpRouter::Entry& entry,
                         const MethodInfo& method,
                         const ClientCertificate& certificate,
                         bool& by_capability) const;
  // Sets whether the caller may still have an answer that goes on.
  void KeepAsking(HttpRequest& request, const MethodInfo& method,
                  const ClientCertificate& certificate) const;
  // Sets the credential of the session that the request's cookie names, if it
  // names one.
  absl::Status UseSession(HttpRequest& request) const;
  // A report of an admitted request; null: nobody wants one.
  std::shared_ptr<HttpRequest> ToReport(const Admitted& admitted,
                                        const HttpRequest& request) const;
  void Count(HttpGroup group, int status);
  void Report(const HttpReport& report) const {
    if (options_.report) options_.report(report);
  }

  // Constant once it serves.
  const Clock& clock_;
  const HttpDoorOptions options_;
  const std::string public_origin_;
  HttpRouter router_;

  std::array<std::array<SharedCell, kHttpCodes>, kHttpGroups> answers_ = {};
  std::array<SharedTimeHistogram, kHttpGroups> times_ = {};
  std::atomic<bool> draining_ = false;
  const std::shared_ptr<FairRoom> reads_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_HTTP_DOOR_H_
