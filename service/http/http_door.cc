#include "service/http/http_door.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "service/base/retry_after.h"
#include "service/http/http_span.h"
#include "service/http/session_cookie.h"

namespace leasehold {
namespace {

// What keeps a browser from doing with our pages and data what others want.
constexpr std::array<std::pair<const char*, const char*>, 5> kProtection = {{
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' "
     "data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
     "frame-ancestors 'none'; require-trusted-types-for 'script'; "
     "trusted-types 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
}};

constexpr auto kUnknownCaller = absl::StatusCode::kUnauthenticated;

// How what capabilities begin with.
constexpr std::string_view kCapabilityPrefix = "c1.";

// What a request shows of who makes it.
class HttpCredentials final : public Credentials {
 public:
  HttpCredentials(const HttpRequest& request,
                  const ClientCertificate& certificate)
      : request_(request), certificate_(certificate) {}

  absl::StatusOr<std::optional<std::string_view>> Only(
      const char* name) const override {
    std::vector<std::string_view> values = request_.headers.All(name);
    // What clients of Durable Functions call it.
    if (std::string_view(name) == "taskhub" && values.empty()) {
      values = request_.query.All(name);
    }
    if (values.empty()) return std::nullopt;
    if (values.size() > 1) {
      return absl::UnauthenticatedError(
          absl::StrCat(name, " is given more than once"));
    }
    return values.front();
  }
  std::vector<std::string> CertificateNames() const override {
    return certificate_.names;
  }
  absl::Time CertificateExpiry() const override { return certificate_.expires; }
  std::string_view place() const override { return "header"; }

 private:
  const HttpRequest& request_;
  const ClientCertificate& certificate_;
};

bool IsSafe(const HttpRequest& request) {
  return request.method == "GET" || request.method == "HEAD";
}

// Whether a browser asks for a page because somebody has followed a link.
bool IsNavigation(const HttpRequest& request) {
  return IsSafe(request) &&
         request.headers.Get("Sec-Fetch-Mode") == "navigate" &&
         request.headers.Get("Sec-Fetch-Dest") == "document";
}

// What browsers call the origin of pages of that URL.
std::string OriginOf(const std::string& url) {
  const size_t host = url.find("://");
  return host == std::string::npos ? ""
                                   : url.substr(0, url.find('/', host + 3));
}

// What the HTTP status says, where the handler has not said it.
absl::StatusCode CodeOf(const HttpResponse& response) {
  if (response.code != absl::StatusCode::kOk || response.status < 400) {
    return response.code;
  }
  switch (response.status) {
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 409:
    case 410:
    case 412:
      return absl::StatusCode::kFailedPrecondition;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 503:
      return absl::StatusCode::kUnavailable;
    default:
      return response.status < 500 ? absl::StatusCode::kInvalidArgument
                                   : absl::StatusCode::kInternal;
  }
}

HttpResponse NotFound(const HttpRequest& request, const std::string& allowed) {
  if (allowed.empty()) {
    return ErrorResponse(absl::NotFoundError(absl::StrCat(
        "there is nothing at ", QuoteForMessage(request.path), " here")));
  }
  HttpResponse response = ErrorResponse(
      405, absl::UnimplementedError(absl::StrCat(
               QuoteForMessage(request.path), " does not have the method ",
               request.method, "; it has ", allowed)));
  response.headers.Add("Allow", allowed);
  return response;
}

// What a request asks of the `code` in its URL. That of a status may ask for
// the history as well, which is more.
CapabilityVerb VerbOf(const HttpRouter::Entry& entry,
                      const HttpRequest& request) {
  const auto verb = static_cast<CapabilityVerb>(entry.route.capability);
  if (verb != CapabilityVerb::kStatus) return verb;
  for (const std::string_view value : request.query.All("showHistory")) {
    if (!absl::EqualsIgnoreCase(View(value), "false")) {
      return CapabilityVerb::kHistory;
    }
  }
  return verb;
}

// Among the calls of the caller's tenant count those of clients, and not what a
// dashboard asks for.
void CountOutcome(const HttpRouter::Entry& entry, const Caller* caller,
                  absl::StatusCode code) {
  if (entry.group != HttpGroup::kDurableFunctions || caller == nullptr ||
      caller->outcomes == nullptr) {
    return;
  }
  caller->outcomes->Count(code);
}

}  // namespace

HttpDoor::HttpDoor(const Clock& clock, HttpDoorOptions options)
    : clock_(clock),
      options_(std::move(options)),
      public_origin_(OriginOf(options_.public_url)),
      reads_(std::make_shared<FairRoom>(options_.reads_max)) {}

void HttpDoor::Add(std::vector<HttpRoute> routes,
                   const std::vector<MethodInfo>& methods) {
  for (HttpRoute& route : routes) router_.Add(std::move(route), methods);
}

absl::Status HttpDoor::CheckOrigin(const HttpRequest& request,
                                   const std::string& own) const {
  const auto site = request.headers.Find("Sec-Fetch-Site");
  const bool ours = !site.has_value() || *site == "same-origin" ||
                    (*site == "none" && IsSafe(request)) ||
                    IsNavigation(request);
  if (!ours) {
    return absl::PermissionDeniedError(
        "a page of another site asks for this (Sec-Fetch-Site); only pages of "
        "this server may");
  }
  const auto origin = request.headers.Find("Origin");
  if (origin.has_value() && !absl::EqualsIgnoreCase(View(*origin), own) &&
      (public_origin_.empty() ||
       !absl::EqualsIgnoreCase(View(*origin), public_origin_))) {
    return absl::PermissionDeniedError(
        absl::StrCat("a page of ", QuoteForMessage(*origin),
                     " asks for this, and this is ", QuoteForMessage(own),
                     "; if a proxy in front gives it another name, that is "
                     "--http-public-url"));
  }
  return absl::OkStatus();
}

// Browsers send cookies along whoever's page asks. They also say whose page it
// is, which CheckOrigin has seen; what says nothing is no page of ours.
absl::Status HttpDoor::UseSession(HttpRequest& request) const {
  if (options_.sessions == nullptr || request.headers.Has("Authorization")) {
    return absl::OkStatus();
  }
  const std::optional<std::string> id = SessionOf(request);
  if (!id.has_value()) return absl::OkStatus();
  const std::optional<std::string> token = options_.sessions->TokenOf(*id);
  if (!token.has_value()) return absl::OkStatus();
  if (!IsSafe(request) && !request.headers.Has("Origin") &&
      !request.headers.Has("Sec-Fetch-Site")) {
    return absl::PermissionDeniedError(
        "a session changes nothing but for pages of this server, and this "
        "request does not say whose page it is of (Origin, Sec-Fetch-Site)");
  }
  request.session = *id;
  request.headers.Add("Authorization", absl::StrCat("Bearer ", *token));
  return absl::OkStatus();
}

absl::Status HttpDoor::Authorize(HttpRequest& request,
                                 const HttpRouter::Entry& entry,
                                 const MethodInfo& method,
                                 const ClientCertificate& certificate,
                                 bool& by_capability) const {
  if (options_.access == nullptr) {
    request.caller = Anonymous();
    return absl::OkStatus();
  }
  // What clients of Durable Functions have instead of Authorization.
  if (request.headers.All("x-functions-key").size() > 1) {
    return absl::UnauthenticatedError(
        "x-functions-key is given more than once");
  }
  const std::string key(request.headers.Get("x-functions-key"));
  std::vector<std::string_view> codes = request.query.All("code");
  if (codes.empty() && key.starts_with(kCapabilityPrefix)) {
    codes.push_back(key);
  } else if (!key.empty() && !request.headers.Has("Authorization")) {
    request.headers.Add("Authorization", absl::StrCat("Bearer ", key));
  }
  if (codes.empty() || request.headers.Has("Authorization")) {
    if (absl::Status status = UseSession(request); !status.ok()) return status;
    return options_.access->Admit(HttpCredentials(request, certificate), method,
                                  request.caller);
  }
  const std::string tenant(request.query.Get("taskHub", kDefaultTenant));
  const CapabilityTarget target = {.tenant = tenant,
                                   .instance_id = request.params.Get("id")};
  const bool good = codes.size() == 1 && entry.route.capability != '\0' &&
                    options_.capabilities != nullptr &&
                    options_.capabilities
                        ->Check(codes.front(), target, VerbOf(entry, request),
                                options_.access->UrlsNotBefore(tenant))
                        .ok();
  by_capability = good;
  absl::Status status = absl::UnauthenticatedError(
      "the code in this URL is not valid for this, or not any more");
  if (!good) return status;
  const absl::Status admitted =
      options_.access->AdmitCapability(tenant, method, request.caller);
  return absl::IsUnauthenticated(admitted) ? status : admitted;
}

void HttpDoor::KeepAsking(HttpRequest& request, const MethodInfo& method,
                          const ClientCertificate& certificate) const {
  if (options_.access == nullptr || method.lasting == Lasting::kNo ||
      !request.headers.Has("Authorization")) {
    return;
  }
  // What it has shown, and no more of it.
  const auto shown = std::make_shared<HttpRequest>();
  for (const char* name : {"authorization", "taskhub"}) {
    for (const std::string_view value : request.headers.All(name)) {
      shown->headers.Add(name, std::string(value));
    }
  }
  for (const std::string_view hub : request.query.All("taskhub")) {
    shown->query.Add("taskhub", std::string(hub));
  }
  shown->session = request.session;
  request.may_still = [&access = *options_.access, sessions = options_.sessions,
                       method, certificate, shown, caller = request.caller] {
    if (!shown->session.empty() &&
        !sessions->TokenOf(shown->session).has_value()) {
      return false;
    }
    return access
        .AdmitStill(HttpCredentials(*shown, certificate), method, *caller)
        .ok();
  };
}

void HttpDoor::Count(HttpGroup group, int status) {
  size_t code = 0;
  while (code + 1 < kHttpCodes && kHttpStatuses[code] != status) ++code;
  answers_[static_cast<size_t>(group)][code].Add();
}

HttpDoor::Counts HttpDoor::counts() const {
  Counts counts;
  for (size_t group = 0; group < kHttpGroups; ++group) {
    for (size_t code = 0; code < kHttpCodes; ++code) {
      counts.answers[group][code] = answers_[group][code].value();
    }
    counts.times[group] = times_[group].Read();
  }
  return counts;
}

std::variant<HttpDoor::Admitted, HttpResponse> HttpDoor::Admit(
    HttpRequest& request, bool is_encrypted,
    const ClientCertificate& certificate) {
  const HttpRouter::Entry* entry = nullptr;
  auto decided = Decide(request, is_encrypted, certificate, entry);
  if (const auto* refused = std::get_if<HttpResponse>(&decided)) {
    Count(entry == nullptr ? HttpGroup::kNone : entry->group, refused->status);
  }
  return decided;
}

std::variant<HttpDoor::Admitted, HttpResponse> HttpDoor::Decide(
    HttpRequest& request, bool is_encrypted,
    const ClientCertificate& certificate, const HttpRouter::Entry*& entry) {
  const std::string_view host = request.headers.Get("Host");
  if (!options_.hosts.Allows(host)) {
    return ErrorResponse(
        421, absl::PermissionDeniedError(absl::StrCat(
                 "this server is not called ", QuoteForMessage(host),
                 "; names that it has beside its addresses are those of "
                 "--http-host and --http-public-url")));
  }
  const std::string own =
      absl::StrCat(is_encrypted ? "https://" : "http://", View(host));
  request.base_url = options_.public_url.empty() ? own : options_.public_url;
  if (absl::Status status = CheckOrigin(request, own); !status.ok()) {
    return ErrorResponse(status);
  }
  std::string allowed;
  entry = router_.Find(request, allowed);
  if (entry == nullptr) return NotFound(request, allowed);
  const bool is_open = entry->method.role == Role::kAnyone;
  if (draining_ && !is_open) {
    return ErrorResponse(absl::UnavailableError("the server is shutting down"));
  }
  Admitted admitted;
  admitted.entry = entry;
  MethodInfo method = entry->method;
  if (entry->route.waits != nullptr && entry->route.waits(request)) {
    method.lasting = Lasting::kWait;
  }
  admitted.lasting = method.lasting;
  const absl::Status status =
      Authorize(request, *entry, method, certificate, admitted.by_capability);
  if (!status.ok()) {
    Report({.method = entry->method,
            .request = request,
            .caller = request.caller.get(),
            .by_capability = admitted.by_capability,
            .refused = true,
            .instance_id = request.params.Get("id"),
            .code = status.code()});
    CountOutcome(*entry, request.caller.get(), status.code());
    return ErrorResponse(status);
  }
  if (entry->method.call_class == CallClass::kRead &&
      entry->method.lasting == Lasting::kNo) {
    std::shared_ptr<void> room = reads_->Take(request.caller->tenant);
    if (room == nullptr) {
      return ErrorResponse(WithRetryAfter(
          absl::UnavailableError("too many requests read the store now"),
          absl::Seconds(1)));
    }
    admitted.room = std::move(room);
  }
  KeepAsking(request, method, certificate);
  return admitted;
}

size_t HttpDoor::BodyMax(const Admitted& admitted) {
  return admitted.entry->route.body_bytes_max;
}

bool HttpDoor::Lasts(const Admitted& admitted) {
  return admitted.lasting != Lasting::kNo;
}

// The call owns its request, so a report has one of its own, without headers
// and body.
std::shared_ptr<HttpRequest> HttpDoor::ToReport(
    const Admitted& admitted, const HttpRequest& request) const {
  if (!options_.report || !options_.watches ||
      !options_.watches(admitted.entry->method)) {
    return nullptr;
  }
  auto about = std::make_shared<HttpRequest>();
  about->method = request.method;
  about->path = request.path;
  about->params = request.params;
  about->peer = request.peer;
  about->caller = request.caller;
  return about;
}

std::shared_ptr<HttpCall> HttpDoor::Run(Admitted admitted, HttpRequest request,
                                        HttpCall::Answer answer) {
  const HttpRouter::Entry& entry = *admitted.entry;
  auto about = ToReport(admitted, request);
  auto span = HttpSpan::Begin(options_.tracer, entry, request);
  const std::shared_ptr<const Caller> caller = request.caller;
  const auto call = std::make_shared<HttpCall>(
      std::move(request),
      [this, &entry, about = std::move(about), span = std::move(span),
       begun = clock_.Now(), lasting = admitted.lasting,
       by_capability = admitted.by_capability, room = std::move(admitted.room),
       caller, answer = std::move(answer)](HttpResponse response) {
        if (about != nullptr) {
          // Who signs in is asked by the handler.
          const bool refused =
              entry.route.own.has_value() && CodeOf(response) == kUnknownCaller;
          const Caller* who = refused ? nullptr : about->caller.get();
          if (response.caller != nullptr) who = response.caller.get();
          Report({.method = entry.method,
                  .request = *about,
                  .caller = who,
                  .by_capability = by_capability,
                  .refused = refused,
                  .instance_id = about->params.Get("id", response.instance_id),
                  .code = CodeOf(response)});
        }
        if (span != nullptr) span->Answer(response);
        CountOutcome(entry, caller.get(), CodeOf(response));
        Count(entry.group, response.status);
        if (lasting == Lasting::kNo) {
          times_[static_cast<size_t>(entry.group)].Add(
              absl::ToInt64Nanoseconds(clock_.Now() - begun));
        }
        Complete(response);
        answer(std::move(response));
      });
  entry.route.handler(call);
  return call;
}

void HttpDoor::RunFor(const std::shared_ptr<const Caller>& caller,
                      HttpRequest request, HttpCall::Answer answer) {
  std::string allowed;
  const HttpRouter::Entry* const entry = router_.Find(request, allowed);
  if (entry == nullptr) return answer(NotFound(request, allowed));
  absl::Status status =
      draining_ ? absl::UnavailableError("the server is shutting down")
                : absl::OkStatus();
  request.caller = caller;
  if (status.ok() && options_.access != nullptr) {
    status = options_.access->AdmitAgain(caller, entry->method, request.caller);
    if (!status.ok()) {
      Report({.method = entry->method,
              .request = request,
              .caller = caller.get(),
              .by_capability = false,
              .refused = true,
              .instance_id = request.params.Get("id"),
              .code = status.code()});
    }
  }
  if (!status.ok()) {
    HttpResponse refused = ErrorResponse(status);
    Count(entry->group, refused.status);
    return answer(std::move(refused));
  }
  Admitted admitted;
  admitted.entry = entry;
  Run(std::move(admitted), std::move(request), std::move(answer));
}

void HttpDoor::Complete(HttpResponse& response) const {
  for (const auto& [name, value] : kProtection) {
    if (!response.headers.Has(name)) response.headers.Add(name, value);
  }
  if (!response.headers.Has("Cache-Control")) {
    response.headers.Add("Cache-Control", "no-store");
  }
  response.headers.Add(
      "Date", absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", clock_.WallNow(),
                               absl::UTCTimeZone()));
}

}  // namespace leasehold
