#include "service/http/session_cookie.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

// As the client calls us, or calls the proxy in front of us.
bool IsSecure(const HttpRequest& request) {
  return absl::StartsWith(request.base_url, "https://");
}

absl::string_view NameFor(const HttpRequest& request) {
  return IsSecure(request) ? "__Host-leasehold" : "leasehold";
}

}  // namespace

std::optional<std::string> SessionOf(const HttpRequest& request) {
  const std::string begin = absl::StrCat(NameFor(request), "=");
  std::optional<std::string> id;
  for (const std::string_view cookies : request.headers.All("Cookie")) {
    for (absl::string_view cookie : absl::StrSplit(View(cookies), ';')) {
      cookie = absl::StripAsciiWhitespace(cookie);
      if (!absl::StartsWith(cookie, begin)) continue;
      if (id.has_value()) return std::nullopt;
      id = std::string(cookie.substr(begin.size()));
    }
  }
  return id;
}

std::string SessionCookie(const HttpRequest& request, std::string_view id,
                          absl::Duration lifetime) {
  return absl::StrCat(NameFor(request), "=", View(id),
                      "; Max-Age=", absl::ToInt64Seconds(lifetime),
                      "; Path=/; HttpOnly; SameSite=Strict",
                      IsSecure(request) ? "; Secure" : "");
}

}  // namespace leasehold
