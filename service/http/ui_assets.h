// The dashboard's files, which are in the program, and the routes that serve
// them: `/ui/` and all below it, `/favicon.svg`, and `/`, which leads there.
//
// The files are open to everybody, as they hold nothing: what they show comes
// from the API (dashboard_api.h), which asks who calls. Paths below `/ui/` are
// pages of one shell, which knows them; only `/ui/assets/` has files.
//
// Thread-safety: safe.   Lifetime: everything is static.
#ifndef LEASEHOLD_SERVICE_HTTP_UI_ASSETS_H_
#define LEASEHOLD_SERVICE_HTTP_UI_ASSETS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "service/http/http_route.h"

namespace leasehold {

struct UiAsset {
  std::string_view name;  // `app.js`
  std::string_view etag;  // With its quotation marks.
  const unsigned char* bytes;
  size_t size;
};

// All files. Made by ui_assets.cmake.
const std::vector<UiAsset>& UiAssets();

// The page that all others are made from.
inline constexpr std::string_view kUiShell = "index.html";

// What a file of that name is, as Content-Type; null: none of the dashboard's.
const char* UiTypeOf(std::string_view name);

// `folder`: serves the files in it instead (ui_folder.h); empty: those in the
// program.
std::vector<HttpRoute> UiRoutes(const std::string& folder = "");

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_UI_ASSETS_H_
