#include "service/http/ui_assets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "service/http/http_call.h"
#include "service/http/http_message.h"
#include "service/http/http_route.h"
#include "service/http/ui_folder.h"
#include "service/rpc/method_info.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

// The dashboard's routes behind a router, as the listener has them.
class UiAssetsTest : public testing::Test {
 protected:
  UiAssetsTest() { Serve(""); }

  // From now on, from that folder; empty: from the program.
  void Serve(const std::string& folder) {
    router_ = HttpRouter();
    for (HttpRoute& route : UiRoutes(folder)) {
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

// ---- A folder instead
// --------------------------------------------------------

class UiFolderTest : public UiAssetsTest {
 protected:
  UiFolderTest() : folder_(directory_.path() + "/ui") {
    std::filesystem::create_directory(folder_);
    Write("index.html", "the shell");
    Write("app.js", "first");
    Write("../secret.js", "secret");
    Serve(folder_);
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  // The answer's status and body.
  std::string File(const std::string& name) {
    const HttpResponse answer = Get({"ui", "assets", name});
    return std::to_string(answer.status) +
           (answer.status == 200 ? " " + answer.body : "");
  }

  TemporaryDirectory directory_;
  const std::string folder_;
};

TEST_F(UiFolderTest, FilesAreReadWhenTheyAreAskedFor) {
  EXPECT_EQ(Get({"ui", "contexts"}).body, "the shell");
  const HttpResponse first = Get({"ui", "assets", "app.js"});
  EXPECT_EQ(first.body, "first");
  EXPECT_EQ(first.headers.Find("Content-Type"),
            "text/javascript; charset=utf-8");
  EXPECT_EQ(first.headers.Find("Cache-Control"), "no-cache");
  const std::string etag(*first.headers.Find("ETag"));
  EXPECT_EQ(Get({"ui", "assets", "app.js"}, etag).status, 304);
  Write("app.js", "second");
  EXPECT_EQ(Get({"ui", "assets", "app.js"}, etag).body, "second");
  Write("new.css", "a new one");
  EXPECT_EQ(File("new.css"), "200 a new one");
}

TEST_F(UiFolderTest, NothingElseIsGivenOut) {
  Write(".hidden.js", "hidden");
  Write("notes.txt", "notes");
  Write("key.pem", "key");
  std::filesystem::create_directory(folder_ + "/sub");
  Write("sub/a.js", "below");
  std::filesystem::create_directory(folder_ + "/folder.js");
  std::filesystem::create_symlink("../secret.js", folder_ + "/link.js");
  std::filesystem::create_symlink("app.js", folder_ + "/near.js");
  ASSERT_EQ(mkfifo((folder_ + "/pipe.js").c_str(), 0600), 0);
  Write("long.js", std::string(UiFolder::kFileBytesMax + 1, 'x'));
  for (const char* name :
       {"../secret.js", "..", ".", ".hidden.js", "notes.txt", "key.pem",
        "sub/a.js", "sub", "folder.js", "link.js", "near.js", "pipe.js",
        "long.js", "index.html", "none.js", "/etc/hosts.js"}) {
    EXPECT_EQ(File(name), "404") << name;
  }
  EXPECT_EQ(File(std::string("app.js\0.js", 10)), "404");
}

TEST_F(UiFolderTest, AFolderWithoutAPageIsRefused) {
  EXPECT_TRUE(UiFolder(folder_).Check().ok());
  EXPECT_TRUE(absl::IsInvalidArgument(UiFolder(folder_ + "/no").Check()));
  std::filesystem::remove(folder_ + "/index.html");
  EXPECT_TRUE(absl::IsInvalidArgument(UiFolder(folder_).Check()));
}

TEST_F(UiFolderTest, EachFileInTheProgramHasATypeThatIsGivenOut) {
  for (const UiAsset& asset : UiAssets()) {
    EXPECT_NE(UiTypeOf(asset.name), nullptr) << asset.name;
  }
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
