#include "service/http/http_route.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

const std::vector<MethodInfo> kMethods = {
    {.service = "test.Shop", .name = "Look", .role = Role::kViewer},
    {.service = "test.Shop", .name = "Buy", .role = Role::kUser}};

class HttpRouterTest : public testing::Test {
 protected:
  void Add(std::string method, std::string pattern,
           std::string row = "test.Shop/Look") {
    router_.Add({.method = std::move(method),
                 .pattern = std::move(pattern),
                 .row = std::move(row),
                 .handler = {}},
                kMethods);
  }

  // The pattern that serves it, and its parameters; else `!` and what the path
  // allows.
  std::string Find(std::string method, std::vector<std::string> segments) {
    HttpRequest request;
    request.method = std::move(method);
    request.segments = std::move(segments);
    std::string allowed;
    const HttpRouter::Entry* const found = router_.Find(request, allowed);
    if (found == nullptr) return absl::StrCat("!", allowed);
    std::string text = found->route.pattern;
    for (const auto& [name, value] : request.params) {
      absl::StrAppend(&text, " ", name, "=", value);
    }
    return text;
  }

  HttpRouter router_;
};

TEST_F(HttpRouterTest, LiteralsMatchInAnyCaseAndNothingElse) {
  Add("GET", "/healthz");
  EXPECT_EQ(Find("GET", {"healthz"}), "/healthz");
  EXPECT_EQ(Find("GET", {"HealthZ"}), "/healthz");
  EXPECT_EQ(Find("GET", {"healthz", ""}), "!");
  EXPECT_EQ(Find("GET", {"", "healthz"}), "!");
  EXPECT_EQ(Find("GET", {"x", "..", "healthz"}), "!");
  EXPECT_EQ(Find("GET", {"healthz", "x"}), "!");
  EXPECT_EQ(Find("GET", {""}), "!");
}

TEST_F(HttpRouterTest, AVerbIsWhatFollowsTheLastColonOfItsSegment) {
  Add("GET", "/c/{id}");
  Add("POST", "/c/{id}:release");
  Add("POST", "/c/{id}:raise-event");
  EXPECT_EQ(Find("POST", {"c", "a:release"}), "/c/{id}:release id=a");
  EXPECT_EQ(Find("POST", {"c", "a:b:Release"}), "/c/{id}:release id=a:b");
  EXPECT_EQ(Find("POST", {"c", "a:raise-event"}), "/c/{id}:raise-event id=a");
  EXPECT_EQ(Find("POST", {"c", ":release"}), "!GET, HEAD");
  EXPECT_EQ(Find("POST", {"c", "a"}), "!GET, HEAD");
  EXPECT_EQ(Find("GET", {"c", "a:release"}), "/c/{id} id=a:release");
}

TEST_F(HttpRouterTest, AParameterIsOneSegmentThatIsNotEmpty) {
  Add("GET", "/i/{id}/raise/{event}");
  EXPECT_EQ(Find("GET", {"i", "a/b", "raise", "go"}),
            "/i/{id}/raise/{event} id=a/b event=go");
  EXPECT_EQ(Find("GET", {"i", "", "raise", "go"}), "!");
  EXPECT_EQ(Find("GET", {"i", "a", "raise"}), "!");
  EXPECT_EQ(Find("GET", {"i", "a", "raise", "go", ""}), "!");
}

TEST_F(HttpRouterTest, ASlashAtTheEndOfAPatternMayBeLeftOut) {
  Add("GET", "/i/");
  EXPECT_EQ(Find("GET", {"i"}), "/i/");
  EXPECT_EQ(Find("GET", {"i", ""}), "/i/");
  EXPECT_EQ(Find("GET", {"i", "x"}), "!");
}

TEST_F(HttpRouterTest, AStarIsTheRest) {
  Add("GET", "/ui/*");
  EXPECT_EQ(Find("GET", {"ui"}), "/ui/*");
  EXPECT_EQ(Find("GET", {"ui", "a", "", "b"}), "/ui/*");
  EXPECT_EQ(Find("GET", {"u"}), "!");
}

TEST_F(HttpRouterTest, OtherMethodsAreNamed) {
  Add("GET", "/i/{id}");
  Add("DELETE", "/i/{id}", "test.Shop/Buy");
  Add("DELETE", "/i/x", "test.Shop/Buy");
  EXPECT_EQ(Find("POST", {"i", "x"}), "!GET, HEAD, DELETE");
  EXPECT_EQ(Find("HEAD", {"i", "x"}), "/i/{id} id=x");
  EXPECT_EQ(Find("DELETE", {"i", "x"}), "/i/{id} id=x");
}

TEST_F(HttpRouterTest, ARouteHasTheRowOfItsMethod) {
  Add("POST", "/buy", "test.Shop/Buy");
  HttpRequest request;
  request.method = "POST";
  request.segments = {"buy"};
  std::string allowed;
  const HttpRouter::Entry* const found = router_.Find(request, allowed);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->method.role, Role::kUser);
  EXPECT_EQ(found->method.name, "Buy");
}

TEST_F(HttpRouterTest, ARowThatIsNotThereEndsTheProcess) {
  EXPECT_DEATH(Add("GET", "/x", "test.Shop/Steal"), "row of a method");
}

}  // namespace
}  // namespace leasehold
