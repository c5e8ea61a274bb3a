#include "service/http/ui_assets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "service/http/http_call.h"
#include "service/http/http_message.h"
#include "service/http/http_route.h"
#include "service/rpc/method_info.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

// The dashboard's routes behind a router, as the listener has them.
class UiAssetsTest : public testing::Test {
 protected:
  UiAssetsTest() {
    for (HttpRoute& route : UiRoutes()) {
      router_.Add(std::move(route),
                  {{.service = "grpc.health.v1.Health", .name = "Check"}});
    }
  }

  HttpResponse Get(std::vector<std::string> segments,
                   std::string if_none_match = "") {
    HttpRequest request;
    request.method = "GET";
    request.segments = std::move(segments);
    if (!if_none_match.empty()) {
      request.headers.Add("If-None-Match", std::move(if_none_match));
    }
    std::string allowed;
    const HttpRouter::Entry* entry = router_.Find(request, allowed);
    if (entry == nullptr) return EmptyResponse(404);
    HttpResponse answer;
    entry->route.handler(std::make_shared<HttpCall>(
        std::move(request),
        [&answer](HttpResponse response) { answer = std::move(response); }));
    return answer;
  }

 private:
  HttpRouter router_;
};

TEST_F(UiAssetsTest, EachPageIsTheShell) {
  for (const std::vector<std::string>& path : {std::vector<std::string>{"ui"},
                                               {"ui", ""},
                                               {"ui", "contexts", "a/b"}}) {
    const HttpResponse page = Get(path);
    EXPECT_EQ(page.status, 200);
    EXPECT_EQ(page.headers.Find("Content-Type"), "text/html; charset=utf-8");
    EXPECT_THAT(page.body, HasSubstr("/ui/assets/app.js"));
  }
}

TEST_F(UiAssetsTest, AFileHasItsTypeAndIsAskedForAgain) {
  const HttpResponse script = Get({"ui", "assets", "app.js"});
  EXPECT_EQ(script.status, 200);
  EXPECT_EQ(script.headers.Find("Content-Type"),
            "text/javascript; charset=utf-8");
  EXPECT_EQ(script.headers.Find("Cache-Control"), "no-cache");
  EXPECT_EQ(Get({"favicon.svg"}).headers.Find("Content-Type"), "image/svg+xml");
}

TEST_F(UiAssetsTest, AFileThatTheClientHasIsNotSentAgain) {
  const std::string etag(*Get({"ui", "assets", "h.js"}).headers.Find("ETag"));
  for (const std::string& known :
       {etag, "W/" + etag, "\"x\", " + etag, std::string("*")}) {
    const HttpResponse answer = Get({"ui", "assets", "h.js"}, known);
    EXPECT_EQ(answer.status, 304) << known;
    EXPECT_EQ(answer.body, "");
    EXPECT_EQ(answer.headers.Find("ETag"), etag);
  }
  EXPECT_EQ(Get({"ui", "assets", "h.js"}, "\"another\"").status, 200);
}

TEST_F(UiAssetsTest, WhatIsNoFileIsNotFound) {
  for (const char* name : {"nothing.js", "index.html", "../h.js", "h.js/"}) {
    EXPECT_EQ(Get({"ui", "assets", name}).status, 404) << name;
  }
}

TEST_F(UiAssetsTest, TheRootLeadsToTheDashboard) {
  const HttpResponse answer = Get({""});
  EXPECT_EQ(answer.status, 302);
  EXPECT_EQ(answer.headers.Find("Location"), "/ui/");
}

// A file that imports another one that is not served would show as an empty
// page.
TEST_F(UiAssetsTest, WhatFilesImportIsServed) {
  std::set<std::string> names;
  for (const UiAsset& asset : UiAssets()) names.emplace(asset.name);
  int imports = 0;
  for (const UiAsset& asset : UiAssets()) {
    const std::string text(reinterpret_cast<const char*>(asset.bytes),
                           asset.size);
    const std::string mark = "from \"./";
    for (size_t at = text.find(mark); at != std::string::npos;
         at = text.find(mark, at + 1)) {
      const size_t begin = at + mark.size();
      const std::string name =
          text.substr(begin, text.find('"', begin) - begin);
      EXPECT_TRUE(names.contains(name)) << asset.name << " imports " << name;
      ++imports;
    }
  }
  EXPECT_GT(imports, 20);
}

}  // namespace
}  // namespace leasehold
