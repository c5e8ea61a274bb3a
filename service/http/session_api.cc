#include "service/http/session_api.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "lease/base/json.h"
#include "service/http/http_call.h"
#include "service/http/http_message.h"
#include "service/http/session_cookie.h"
#include "service/rpc/method_info.h"
#include "service/security/credentials.h"

namespace leasehold {
namespace {

// Open to everybody: who asks is not known yet.
MethodInfo Method(std::string_view name) {
  return {.service = kSessionService,
          .name = name,
          .role = Role::kAnyone,
          .call_class = CallClass::kEssential};
}
// Nobody reads more of a stranger's than a token needs.
constexpr size_t kBodyMax = 16 << 10;

// A token, and nothing else.
class TokenCredentials final : public Credentials {
 public:
  explicit TokenCredentials(std::string_view token)
      : authorization_(absl::StrCat(
            "Bearer ", absl::string_view(token.data(), token.size()))) {}

  absl::StatusOr<std::optional<std::string_view>> Only(
      const char* name) const override {
    if (std::string_view(name) != "authorization") return std::nullopt;
    return authorization_;
  }
  std::vector<std::string> CertificateNames() const override { return {}; }
  absl::Time CertificateExpiry() const override { return absl::InfinitePast(); }
  std::string_view place() const override { return "body"; }

 private:
  const std::string authorization_;
};

absl::StatusOr<std::string> TokenIn(const HttpRequest& request) {
  const absl::Status wrong = absl::InvalidArgumentError(
      "the body must be JSON of the form {\"token\": \"TOKEN\"}, as "
      "Content-Type: application/json");
  if (!IsJson(request)) return wrong;
  try {
    const nlohmann::json body = ParseJson(request.body);
    if (!body.is_object()) return wrong;
    const auto token = body.find("token");
    if (token == body.end() || !token->is_string()) return wrong;
    return token->get<std::string>();
  } catch (const std::exception&) {
    return wrong;
  }
}

absl::Status SignIn(HttpCall& call, AccessControl* access, Sessions* sessions) {
  if (access == nullptr || sessions == nullptr) {
    return absl::FailedPreconditionError(
        "this server does not ask who calls (--policy): there is nobody to "
        "sign in as");
  }
  const HttpRequest& request = call.request();
  const absl::StatusOr<std::string> token = TokenIn(request);
  if (!token.ok()) return token.status();
  const MethodInfo method = {.service = "leasehold",
                             .name = "login",
                             .role = Role::kAnyRole,
                             .call_class = CallClass::kEssential};
  std::shared_ptr<const Caller> caller;
  const absl::Status known =
      access->Admit(TokenCredentials(*token), method, caller);
  if (absl::IsUnauthenticated(known)) {
    // Whoever signs in has no header of that name.
    return absl::UnauthenticatedError(
        absl::StrReplaceAll(known.message(), {{" in authorization", ""}}));
  }
  if (!known.ok()) return known;
  const absl::StatusOr<std::string> id = sessions->Open(*token);
  if (!id.ok()) return id.status();
  HttpResponse response = EmptyResponse(204);
  response.headers.Add("Set-Cookie",
                       SessionCookie(request, *id, Sessions::kLifetime));
  response.caller = std::move(caller);
  call.Finish(std::move(response));
  return absl::OkStatus();
}

void SignOut(HttpCall& call, Sessions* sessions) {
  const std::optional<std::string> id = SessionOf(call.request());
  if (id.has_value() && sessions != nullptr) sessions->Close(*id);
  HttpResponse response = EmptyResponse(204);
  response.headers.Add("Set-Cookie",
                       SessionCookie(call.request(), "", absl::ZeroDuration()));
  call.Finish(std::move(response));
}

HttpRoute Route(const char* pattern, std::string_view name,
                HttpHandler handler) {
  return {.method = "POST",
          .pattern = pattern,
          .row = "",
          .handler = std::move(handler),
          .own = Method(name),
          .body_bytes_max = kBodyMax};
}

}  // namespace

std::vector<HttpRoute> SessionRoutes(AccessControl* access,
                                     Sessions* sessions) {
  return {Route("/login", "Login",
                [access, sessions](const HttpCallPtr& call) {
                  const absl::Status status = SignIn(*call, access, sessions);
                  if (!status.ok()) call->Fail(status);
                }),
          Route("/logout", "Logout", [sessions](const HttpCallPtr& call) {
            SignOut(*call, sessions);
          })};
}

}  // namespace leasehold
