#include "service/http/ui_assets.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

// Open to everybody, like the health of the server.
constexpr char kRow[] = "grpc.health.v1.Health/Check";
constexpr std::string_view kShell = "index.html";

const char* TypeOf(std::string_view name) {
  if (absl::EndsWith(View(name), ".js"))
    return "text/javascript; charset=utf-8";
  if (absl::EndsWith(View(name), ".css")) return "text/css; charset=utf-8";
  if (absl::EndsWith(View(name), ".svg")) return "image/svg+xml";
  return "text/html; charset=utf-8";
}

// Whether the client has this version of the file already.
bool HasIt(const HttpRequest& request, std::string_view etag) {
  for (const std::string_view list : request.headers.All("If-None-Match")) {
    for (absl::string_view known : absl::StrSplit(View(list), ',')) {
      known = absl::StripAsciiWhitespace(known);
      if (absl::StartsWith(known, "W/")) known.remove_prefix(2);
      if (known == "*" || known == View(etag)) return true;
    }
  }
  return false;
}

void Serve(HttpCall& call, std::string_view name) {
  for (const UiAsset& asset : UiAssets()) {
    if (asset.name != name) continue;
    HttpResponse response;
    response.headers = {{"Cache-Control", "no-cache"},
                        {"ETag", std::string(asset.etag)}};
    if (HasIt(call.request(), asset.etag)) {
      response.status = 304;
    } else {
      response.headers.Add("Content-Type", TypeOf(name));
      response.body.assign(reinterpret_cast<const char*>(asset.bytes),
                           asset.size);
    }
    return call.Finish(std::move(response));
  }
  call.Fail(absl::NotFoundError(
      absl::StrCat("the dashboard has no file ", QuoteForMessage(name))));
}

HttpRoute Route(const char* pattern, HttpHandler handler) {
  return {.method = "GET",
          .pattern = pattern,
          .row = kRow,
          .handler = std::move(handler)};
}

}  // namespace

std::vector<HttpRoute> UiRoutes() {
  using Call = std::shared_ptr<HttpCall>;
  return {Route("/ui/assets/{name}",
                [](const Call& call) {
                  // A file has one name: the shell has one too, and is not
                  // served as a file.
                  const std::string_view name =
                      call->request().params.Get("name");
                  Serve(*call, name == kShell ? std::string_view() : name);
                }),
          Route("/ui/*", [](const Call& call) { Serve(*call, kShell); }),
          Route("/favicon.svg",
                [](const Call& call) { Serve(*call, "favicon.svg"); }),
          Route("/", [](const Call& call) {
            HttpResponse response = EmptyResponse(302);
            response.headers.Add("Location", "/ui/");
            call->Finish(std::move(response));
          })};
}

}  // namespace leasehold
