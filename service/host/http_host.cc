#include "service/host/http_host.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/http/http_call.h"
#include "service/http/http_message.h"
#include "service/security/capability_keys.h"

namespace leasehold {
namespace {

// Beside the largest payload: JSON around it.
constexpr size_t kAroundPayload = 64 << 10;
// How long answers that are on their way may take once the server's calls have
// ended.
constexpr absl::Duration kLastAnswers = absl::Seconds(1);

// Strangers can provoke lines about connections that are refused.
constexpr uint64_t kRefusalLines = 10;
constexpr absl::Duration kRefusalSpan = absl::Seconds(10);

constexpr char kHealthRow[] = "grpc.health.v1.Health/Check";

// Whether it listens on all addresses that the machine has.
bool IsAny(const ListenAddress& address) {
  return address.host == "0.0.0.0" || address.host == "::";
}

// The name in a URL, without port.
std::string HostOf(const std::string& url) {
  const size_t begin = url.find("://") + 3;
  std::string host = url.substr(begin, url.find('/', begin) - begin);
  if (host.front() == '[') return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

void Answer(HttpCall& call, const absl::Status& status) {
  if (!status.ok()) {
    call.Fail(status);
  } else {
    call.Finish(JsonResponse(200, R"({"status":"SERVING"})"));
  }
}

}  // namespace

HttpHost::HttpHost(const ServerOptions& options, Clock& clock, ServerLog& log,
                   ServerHost& host, ServerGuard& guard)
    : options_(options),
      clock_(clock),
      log_(log),
      host_(host),
      guard_(guard),
      refused_keys_(log, "url_keys_kept", "the last good keys go on counting"),
      refusal_lines_(clock, kRefusalLines, kRefusalSpan) {
  host.Add(static_cast<ServerPart&>(*this));
}

HttpHost::~HttpHost() {
  guard_.WatchTls(nullptr);
  guard_.OnLookAgain(nullptr);
}

absl::Status HttpHost::OpenSockets() {
  const bool asked = !options_.http.listen.empty();
  std::vector<ListenAddress> addresses = options_.http.listen;
  if (!asked)
    addresses = {{.host = "127.0.0.1", .port = 4002, .unix_path = ""}};
  std::vector<ListeningSocket> sockets;
  for (const ListenAddress& address : addresses) {
    absl::Status status = CheckCanListen(address);
    if (status.ok()) {
      auto opened = ListeningSocket::Open(address, options_.unix_socket_mode);
      status = opened.status();
      if (opened.ok()) sockets.push_back(*std::move(opened));
    }
    if (status.ok()) continue;
    if (asked) {
      return absl::UnavailableError(
          absl::StrCat("--http-listen: ", status.message()));
    }
    log_.Warning("http_off", {{"reason", std::string(status.message())}});
    return absl::OkStatus();
  }
  sockets_.swap(sockets);
  return absl::OkStatus();
}

absl::StatusOr<CapabilityKeys> HttpHost::ReadKeys() const {
  if (!options_.http.url_keys.empty()) {
    return CapabilityKeys::ReadFile(options_.http.url_keys);
  }
  return CapabilityKeys::OpenIn(options_.data);
}

absl::Status HttpHost::OpenKeys() {
  if (!options_.knows_callers()) return absl::OkStatus();
  sessions_ = std::make_unique<Sessions>(clock_);
  const bool has_file =
      !options_.memory_store || !options_.http.url_keys.empty();
  absl::StatusOr<CapabilityKeys> keys =
      has_file ? ReadKeys() : CapabilityKeys::ForProcess();
  if (!keys.ok()) return keys.status();
  capabilities_ = std::make_unique<Capabilities>(
      *std::move(keys), options_.http.url_lifetime, clock_);
  if (has_file) guard_.OnLookAgain([this] { LookAgain(); });
  return absl::OkStatus();
}

void HttpHost::LookAgain() {
  absl::StatusOr<CapabilityKeys> keys = ReadKeys();
  if (!keys.ok()) return refused_keys_.OnRefused(keys.status());
  refused_keys_.OnAccepted();
  if (!capabilities_->SetKeys(*std::move(keys))) return;
  log_.Info("url_keys_changed", {});
}

HttpDoorOptions HttpHost::DoorOptions() const {
  std::vector<std::string> names = options_.http.hosts;
  bool any_address = false;
  for (const ListeningSocket& socket : sockets_) {
    any_address |= IsAny(socket.address());
    names.push_back(socket.address().host);
  }
  if (!options_.http.public_url.empty()) {
    names.push_back(HostOf(options_.http.public_url));
  }
  HttpDoorOptions options;
  options.hosts = HostList(names, any_address);
  options.public_url = options_.http.public_url;
  options.access = guard_.access();
  options.capabilities = capabilities_.get();
  options.sessions = sessions_.get();
  options.tracer = host_.tracer();
  if (AuditLog* const audit = guard_.audit(); audit != nullptr) {
    options.watches = [audit](const MethodInfo& method) {
      return audit->Watches(method);
    };
    options.report = [audit](const HttpReport& report) {
      audit->Note({.method = report.method,
                   .caller = report.caller,
                   .known_by = report.by_capability ? "capability" : "",
                   .refused = report.refused,
                   .peer = report.request.peer,
                   .instance_id = std::string(report.instance_id),
                   .code = report.code});
    };
  }
  return options;
}

absl::Status HttpHost::Open(std::function<absl::Status()> store_status) {
  store_status_ = std::move(store_status);
  if (options_.http.off) return absl::OkStatus();
  if (absl::Status status = OpenSockets(); !status.ok()) return status;
  if (sockets_.empty()) return absl::OkStatus();
  base_url_ = BaseUrl();
  if (absl::Status status = OpenKeys(); !status.ok()) return status;
  door_.emplace(clock_, DoorOptions());
  HttpLimits limits;
  limits.body_bytes_max = options_.payload_bytes_max + kAroundPayload;
  limits.total_body_bytes_max = options_.total_bytes_max;
  limits.proxies = options_.http.proxies;
  listener_.emplace(
      clock_, *door_, limits,
      [this](RefusedConnection, const std::string& peer,
             const std::string& why) {
        uint64_t left_out = 0;
        if (!refusal_lines_.Admit(left_out)) return;
        log_.Warning(
            "http_connection_refused",
            {{"peer", peer}, {"reason", why}, {"lines_left_out", left_out}});
      });
  const auto set_tls = [this](const TlsMaterial& material) {
    absl::Status set = listener_->SetTls(
        material, options_.tls.client_ca.empty() ? ClientAuth::kNone
                                                 : options_.client_auth);
    if (set.ok()) certificate_expires_ = absl::ToUnixSeconds(material.expires);
    return set;
  };
  absl::Status status;
  guard_.WatchTls([&](const TlsMaterial& first) { status = set_tls(first); });
  if (!status.ok()) return status;
  guard_.WatchTls([this, set_tls](const TlsMaterial& material) {
    const absl::Status changed = set_tls(material);
    if (!changed.ok()) {
      log_.Warning("http_tls_kept",
                   {{"reason", std::string(changed.message())}});
    }
  });
  Add(HealthRoutes());
  return absl::OkStatus();
}

std::vector<MethodInfo> HttpHost::Methods() const {
  std::vector<MethodInfo> methods;
  for (HostedService* service : host_.services()) {
    for (const HostedService::Method& method : service->Methods()) {
      methods.push_back({.service = service->name(),
                         .name = method.name,
                         .role = method.role,
                         .call_class = method.call_class});
    }
  }
  return methods;
}

void HttpHost::Add(std::vector<HttpRoute> routes) {
  if (door_.has_value()) door_->Add(std::move(routes), Methods());
}

std::vector<HttpRoute> HttpHost::HealthRoutes() {
  return {{.method = "GET",
           .pattern = "/healthz",
           .row = kHealthRow,
           .handler =
               [](const std::shared_ptr<HttpCall>& call) {
                 Answer(*call, absl::OkStatus());
               }},
          {.method = "GET",
           .pattern = "/readyz",
           .row = kHealthRow,
           .handler = [this](const std::shared_ptr<HttpCall>& call) {
             Answer(*call, draining_ ? absl::UnavailableError(
                                           "the server is shutting down")
                                     : store_status_());
           }}};
}

std::string HttpHost::UrlOf(const ListeningSocket& socket) const {
  const bool encrypted = options_.uses_tls() && !socket.address().is_unix();
  return absl::StrCat(encrypted ? "https://" : "http://",
                      socket.address().ToString());
}

std::string HttpHost::BaseUrl() const {
  if (!options_.http.public_url.empty()) return options_.http.public_url;
  for (const ListeningSocket& socket : sockets_) {
    if (!socket.address().is_unix() && !IsAny(socket.address())) {
      return UrlOf(socket);
    }
  }
  return "";
}

std::optional<HttpDoor::Counts> HttpHost::requests() const {
  if (!door_.has_value()) return std::nullopt;
  return door_->counts();
}

std::optional<HttpListener::Counts> HttpHost::connections() const {
  if (!listener_.has_value()) return std::nullopt;
  return listener_->counts();
}

std::optional<absl::Time> HttpHost::certificate_expires() const {
  const int64_t seconds = certificate_expires_;
  if (seconds == 0) return std::nullopt;
  return absl::FromUnixSeconds(seconds);
}

void HttpHost::Start() {
  if (!listener_.has_value()) return;
  std::vector<int> descriptors;
  for (const ListeningSocket& socket : sockets_) {
    descriptors.insert(descriptors.end(), socket.descriptors().begin(),
                       socket.descriptors().end());
    urls_.push_back(UrlOf(socket));
    log_.Info("http_listening", {{"url", urls_.back()}});
  }
  listener_->Start(descriptors);
}

void HttpHost::OnDraining() {
  draining_ = true;
  if (!listener_.has_value()) return;
  door_->Drain();
  listener_->Drain();
}

void HttpHost::OnStopping() {
  if (listener_.has_value()) listener_->Stop(kLastAnswers);
  sockets_.clear();
}

}  // namespace leasehold
