#include "service/http/ui_assets.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "service/http/ui_folder.h"

namespace leasehold {
namespace {

// Open to everybody, like the health of the server.
constexpr char kRow[] = "grpc.health.v1.Health/Check";

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

void Send(HttpCall& call, std::string_view name, std::string_view etag,
          std::string_view bytes) {
  HttpResponse response;
  response.headers = {{"Cache-Control", "no-cache"},
                      {"ETag", std::string(etag)}};
  if (HasIt(call.request(), etag)) {
    response.status = 304;
  } else {
    response.headers.Add("Content-Type", UiTypeOf(name));
    response.body = bytes;
  }
  call.Finish(std::move(response));
}

using Serve = std::function<void(HttpCall&, std::string_view name)>;

void ServeBuiltIn(HttpCall& call, std::string_view name) {
  for (const UiAsset& asset : UiAssets()) {
    if (asset.name != name) continue;
    return Send(call, name, asset.etag,
                {reinterpret_cast<const char*>(asset.bytes), asset.size});
  }
  call.Fail(absl::NotFoundError(
      absl::StrCat("the dashboard has no file ", QuoteForMessage(name))));
}

Serve ServeFrom(const std::string& folder) {
  if (folder.empty()) return ServeBuiltIn;
  return [folder = UiFolder(folder)](HttpCall& call, std::string_view name) {
    const absl::StatusOr<UiFolder::File> file = folder.Read(name);
    if (!file.ok()) return call.Fail(file.status());
    Send(call, name, file->etag, file->bytes);
  };
}

HttpRoute Route(const char* pattern, HttpHandler handler) {
  return {.method = "GET",
          .pattern = pattern,
          .row = kRow,
          .handler = std::move(handler)};
}

}  // namespace

const char* UiTypeOf(std::string_view name) {
  constexpr std::pair<const char*, const char*> kTypes[] = {
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".html", "text/html; charset=utf-8"}};
  for (const auto& [ending, type] : kTypes) {
    if (absl::EndsWith(View(name), ending)) return type;
  }
  return nullptr;
}

std::vector<HttpRoute> UiRoutes(const std::string& folder) {
  using Call = std::shared_ptr<HttpCall>;
  const Serve serve = ServeFrom(folder);
  return {Route("/ui/assets/{name}",
                [serve](const Call& call) {
                  // A file has one name: the shell has one too, and is not
                  // served as a file.
                  const std::string_view name =
                      call->request().params.Get("name");
                  serve(*call, name == kUiShell ? std::string_view() : name);
                }),
          Route("/ui/*", [serve](const Call& call) { serve(*call, kUiShell); }),
          Route("/favicon.svg",
                [serve](const Call& call) { serve(*call, "favicon.svg"); }),
          Route("/", [](const Call& call) {
            HttpResponse response = EmptyResponse(302);
            response.headers.Add("Location", "/ui/");
            call->Finish(std::move(response));
          })};
}

}  // namespace leasehold
