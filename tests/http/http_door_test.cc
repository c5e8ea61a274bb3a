#include "service/http/http_door.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/http/request_target.h"
#include "service/http/session_api.h"
#include "service/security/access_rules.h"
#include "service/security/capability_keys.h"
#include "service/security/policy.h"
#include "service/security/sessions.h"
#include "service/security/token_table.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<MethodInfo> kMethods = {
    {.service = "test.Shop",
     .name = "Look",
     .role = Role::kViewer,
     .call_class = CallClass::kRead},
    {.service = "test.Shop",
     .name = "Buy",
     .role = Role::kUser,
     .call_class = CallClass::kEvent},
    {.service = "test.Shop", .name = "Close", .role = Role::kOperator},
    {.service = "test.Shop",
     .name = "Health",
     .role = Role::kAnyone,
     .call_class = CallClass::kEssential}};

constexpr char kPolicy[] = R"({
  "tenants": {"acme": {"events_per_second": 2, "waits": 1}, "globex": {}},
  "identities": {
    "shop": {"tenant": "acme", "roles": ["user"],
             "certificates": ["dns:shop.example"]},
    "eye": {"tenant": "globex", "roles": ["viewer"]}}})";

class HttpDoorTest : public testing::Test {
 protected:
  // With a policy, or without.
  void Open(bool guarded) {
    HttpDoorOptions options;
    options.hosts = HostList({"lease.example"}, false);
    options.reads_max = 3;
    options.watches = [](const MethodInfo& method) {
      return method.role == Role::kUser || method.service == kSessionService;
    };
    options.report = [this](const HttpReport& report) {
      reports_.push_back(
          absl::StrCat(std::string(report.method.name), " ",
                       report.caller == nullptr ? "?" : report.caller->tenant,
                       " ", report.refused ? "refused " : "",
                       report.by_capability ? "by capability " : "",
                       std::string(report.instance_id), " ",
                       absl::StatusCodeToString(report.code)));
    };
    if (guarded) {
      AccessRules rules;
      rules.policy = *ParsePolicy(kPolicy);
      const NewToken shop = MakeToken("shop", absl::InfiniteFuture());
      const NewToken eye = MakeToken("eye", absl::InfiniteFuture());
      shop_ = "Bearer " + shop.token;
      eye_ = "Bearer " + eye.token;
      rules.tokens = *TokenTable::Parse(shop.line + eye.line);
      access_ = std::make_unique<AccessControl>(std::move(rules), clock_);
      options.access = access_.get();
      options.capabilities = &capabilities_;
      options.sessions = &sessions_;
    }
    door_ = std::make_unique<HttpDoor>(clock_, std::move(options));
    const auto keep = [this](const std::shared_ptr<HttpCall>& call) {
      calls_.push_back(call);
    };
    door_->Add({{.method = "GET",
                 .pattern = "/i/{id}",
                 .row = "test.Shop/Look",
                 .handler = keep,
                 .capability = 's'},
                {.method = "POST",
                 .pattern = "/i/{id}/buy",
                 .row = "test.Shop/Buy",
                 .handler = keep,
                 .waits =
                     [](const HttpRequest& request) {
                       return request.query.Has("wait");
                     },
                 .capability = 'e'},
                {.method = "GET",
                 .pattern = "/i/",
                 .row = "test.Shop/Look",
                 .handler = keep},
                {.method = "DELETE",
                 .pattern = "/i/{id}",
                 .row = "test.Shop/Close",
                 .handler = keep},
                {.method = "POST",
                 .pattern = "/runtime/{id}",
                 .row = "test.Shop/Buy",
                 .handler = keep},
                {.method = "GET",
                 .pattern = "/live",
                 .row = "test.Shop/Look",
                 .handler = keep,
                 .lasting = Lasting::kWatch},
                {.method = "GET",
                 .pattern = "/healthz",
                 .row = "test.Shop/Health",
                 .handler = keep}},
               kMethods);
  }

  // Has the door decide, and the handler answer with 202; gives the status.
  int Ask(std::string method, std::string target, HttpFields headers = {},
          std::vector<std::string> certificate = {}) {
    const int decided = Begin(std::move(method), std::move(target),
                              std::move(headers), std::move(certificate));
    if (decided != 0) return decided;
    caller_ = calls_.back()->request().caller;
    calls_.back()->Finish(EmptyResponse(202));
    calls_.pop_back();
    return answers_.back().status;
  }

  // 0: the handler has it.
  int Begin(std::string method, std::string target, HttpFields headers = {},
            std::vector<std::string> certificate = {}) {
    HttpRequest request;
    request.method = std::move(method);
    EXPECT_TRUE(ParseTarget(target, request).ok());
    request.headers = std::move(headers);
    if (!request.headers.Has("Host"))
      request.headers.Add("Host", "localhost:1");
    auto decided = door_->Admit(request, /*is_encrypted=*/false,
                                {.names = certificate, .expires = expires_});
    const auto* admitted = std::get_if<HttpDoor::Admitted>(&decided);
    lasts_ = admitted != nullptr && HttpDoor::Lasts(*admitted);
    if (auto* refused = std::get_if<HttpResponse>(&decided)) {
      refusal_ = std::move(*refused);
      return refusal_.status;
    }
    door_->Run(std::get<HttpDoor::Admitted>(std::move(decided)),
               std::move(request), [this](HttpResponse response) {
                 answers_.push_back(std::move(response));
               });
    return 0;
  }

  std::string Code(std::string verbs, std::string tenant = "acme",
                   std::string id = "a/b") {
    return *capabilities_.Make({.tenant = tenant, .instance_id = id}, verbs,
                               absl::Hours(1));
  }

  SimulatedClock clock_;
  Capabilities capabilities_{CapabilityKeys::ForProcess(), absl::Hours(24),
                             clock_};
  Sessions sessions_{clock_};
  std::unique_ptr<AccessControl> access_;
  std::unique_ptr<HttpDoor> door_;
  std::string shop_;
  std::string eye_;
  std::vector<HttpResponse> answers_;
  std::vector<std::string> reports_;
  std::vector<std::shared_ptr<HttpCall>> calls_;  // They still answer.
  std::shared_ptr<const Caller> caller_;
  HttpResponse refusal_;
  bool lasts_ = false;  // The last one stays open until something happens.
  absl::Time expires_ = absl::InfiniteFuture();  // Of certificates.
};

TEST_F(HttpDoorTest, ASessionIsWhoeverOpenedIt) {
  Open(true);
  const std::string id = *sessions_.Open(shop_.substr(strlen("Bearer ")));
  const std::string cookie = "a=b; leasehold=" + id;
  ASSERT_EQ(Begin("GET", "/i/a", {{"Cookie", cookie}}), 0);
  EXPECT_EQ(calls_.back()->request().session, id);
  EXPECT_EQ(calls_.back()->request().caller->name, "shop");
  // A credential that is shown counts more.
  EXPECT_EQ(Ask("GET", "/i/a", {{"Cookie", cookie}, {"Authorization", eye_}}),
            202);
  EXPECT_EQ(caller_->name, "eye");
  EXPECT_EQ(Ask("GET", "/i/a", {{"Cookie", "leasehold=" + id + "x"}}), 401);
  EXPECT_EQ(Ask("GET", "/i/a", {{"Cookie", cookie + "; leasehold=x"}}), 401);
  clock_.Advance(Sessions::kLifetime);
  EXPECT_EQ(Ask("GET", "/i/a", {{"Cookie", cookie}}), 401);
}

TEST_F(HttpDoorTest, ASessionChangesNothingButForPagesOfOurs) {
  Open(true);
  const std::string cookie =
      "leasehold=" + *sessions_.Open(shop_.substr(strlen("Bearer ")));
  EXPECT_EQ(Ask("POST", "/i/a/buy", {{"Cookie", cookie}}), 403);
  EXPECT_EQ(Ask("POST", "/i/a/buy",
                {{"Cookie", cookie}, {"Origin", "http://localhost:1"}}),
            202);
  EXPECT_EQ(Ask("POST", "/i/a/buy",
                {{"Cookie", cookie}, {"Sec-Fetch-Site", "same-origin"}}),
            202);
  EXPECT_EQ(Ask("POST", "/i/a/buy",
                {{"Cookie", cookie}, {"Sec-Fetch-Site", "same-site"}}),
            403);
}

TEST_F(HttpDoorTest, WithoutAPolicyEverybodyMayDoEverything) {
  Open(false);
  EXPECT_EQ(Ask("GET", "/i/a"), 202);
  EXPECT_EQ(caller_, Anonymous());
  EXPECT_EQ(Ask("DELETE", "/i/a?code=nonsense"), 202);
}

TEST_F(HttpDoorTest, UrlsBeginAsTheClientCallsUs) {
  Open(false);
  ASSERT_EQ(Begin("GET", "/i/a", {{"Host", "lease.example:7"}}), 0);
  EXPECT_EQ(calls_.back()->request().base_url, "http://lease.example:7");
  EXPECT_EQ(Ask("GET", "/i/a", {{"Host", "evil.example"}}), 421);
}

TEST_F(HttpDoorTest, AnswersCarryWhatProtectsBrowsers) {
  Open(false);
  Ask("GET", "/i/a");
  const HttpFields& headers = answers_.back().headers;
  EXPECT_THAT(std::string(headers.Get("Content-Security-Policy")),
              HasSubstr("default-src 'none'"));
  EXPECT_EQ(headers.Get("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(headers.Get("Cache-Control"), "no-store");
  EXPECT_EQ(headers.Get("Date"), "Wed, 01 Jan 2020 00:00:00 GMT");
}

TEST_F(HttpDoorTest, PagesOfOthersMayNotAsk) {
  Open(false);
  EXPECT_EQ(Ask("POST", "/i/a/buy", {{"Origin", "http://localhost:1"}}), 202);
  EXPECT_EQ(Ask("POST", "/i/a/buy", {{"Origin", "http://localhost:2"}}), 403);
  EXPECT_EQ(Ask("POST", "/i/a/buy", {{"Origin", "null"}}), 403);
  EXPECT_EQ(Ask("POST", "/i/a/buy", {{"Sec-Fetch-Site", "cross-site"}}), 403);
  EXPECT_EQ(Ask("POST", "/i/a/buy", {{"Sec-Fetch-Site", "none"}}), 403);
  EXPECT_EQ(Ask("GET", "/i/a", {{"Sec-Fetch-Site", "none"}}), 202);
  EXPECT_EQ(Ask("GET", "/i/a", {{"Sec-Fetch-Site", "same-site"}}), 403);
}

TEST_F(HttpDoorTest, ARoleIsAskedForAsOverGrpc) {
  Open(true);
  EXPECT_EQ(Ask("GET", "/i/a"), 401);
  EXPECT_EQ(refusal_.headers.Get("WWW-Authenticate"), "Bearer");
  EXPECT_THAT(refusal_.body, HasSubstr("send the header `authorization"));
  EXPECT_EQ(Ask("GET", "/i/a", {{"Authorization", shop_}}), 202);
  EXPECT_EQ(caller_->tenant, "acme");
  EXPECT_EQ(caller_->name, "shop");
  EXPECT_EQ(Ask("GET", "/i/a", {{"authorization", eye_}}), 202);
  EXPECT_EQ(Ask("POST", "/i/a/buy", {{"Authorization", eye_}}), 403);
  EXPECT_EQ(Ask("DELETE", "/i/a", {{"Authorization", shop_}}), 403);
  EXPECT_EQ(Ask("GET", "/healthz"), 202);
  EXPECT_EQ(Ask("GET", "/nothing"), 404);
  EXPECT_EQ(Ask("PUT", "/i/a"), 405);
}

TEST_F(HttpDoorTest, CredentialsThatAreWrongOrTwoAreRefused) {
  Open(true);
  for (const std::string& bad : {std::string("Bearer x"), std::string(""),
                                 std::string("Basic abc"), shop_ + "x"}) {
    EXPECT_EQ(Ask("GET", "/i/a", {{"Authorization", bad}}), 401) << bad;
  }
  EXPECT_EQ(
      Ask("GET", "/i/a", {{"Authorization", shop_}, {"Authorization", shop_}}),
      401);
  // The certificate is another tenant's than the token.
  EXPECT_EQ(Ask("GET", "/i/a", {{"Authorization", eye_}}, {"dns:shop.example"}),
            401);
}

TEST_F(HttpDoorTest, ACertificateOrAKeyOfFunctionsIsACredentialToo) {
  Open(true);
  EXPECT_EQ(Ask("GET", "/i/a", {}, {"dns:shop.example"}), 202);
  EXPECT_EQ(caller_->known_by, Caller::KnownBy::kCertificate);
  EXPECT_EQ(Ask("GET", "/i/a", {}, {"dns:other.example"}), 401);
  EXPECT_EQ(Ask("GET", "/i/a", {{"x-functions-key", shop_.substr(7)}}), 202);
  EXPECT_EQ(caller_->name, "shop");
  EXPECT_EQ(Ask("GET", "/i/a", {{"x-functions-key", "wrong"}}), 401);
  EXPECT_EQ(Ask("GET", "/i/a",
                {{"x-functions-key", shop_.substr(7)},
                 {"x-functions-key", shop_.substr(7)}}),
            401);
  expires_ = clock_.WallNow();
  EXPECT_EQ(Ask("GET", "/i/a", {}, {"dns:shop.example"}), 401);
}

TEST_F(HttpDoorTest, ACapabilityIsGoodForItsInstanceAndItsVerbs) {
  Open(true);
  const std::string url =
      absl::StrCat("/i/a%2Fb?taskHub=acme&code=", Code("s"));
  EXPECT_EQ(Ask("GET", url), 202);
  EXPECT_EQ(caller_->tenant, "acme");
  EXPECT_EQ(caller_->roles, Roles{Role::kUser});
  EXPECT_EQ(
      Ask("GET", absl::StrCat("/i/%61%2fb?taskHub=acme&code=", Code("s"))),
      202);
  EXPECT_EQ(
      Ask("GET", "/i/a%2Fb?taskHub=acme", {{"x-functions-key", Code("s")}}),
      202);
  // A status with the history needs more than the status.
  const auto history = [this](const std::string& verbs, std::string asked) {
    return Ask("GET", absl::StrCat("/i/a%2Fb?taskHub=acme&", asked,
                                   "&code=", Code(verbs)));
  };
  EXPECT_EQ(history("s", "showHistory=true"), 401);
  EXPECT_EQ(history("s", "SHOWHISTORY=True"), 401);
  EXPECT_EQ(history("s", "showHistory=false&showHistory=true"), 401);
  EXPECT_EQ(history("s", "showHistory=False"), 202);
  EXPECT_EQ(history("sh", "showHistory=true"), 202);
  EXPECT_EQ(
      Ask("POST", absl::StrCat("/i/a%2Fb/buy?taskHub=acme&code=", Code("e"))),
      202);
}

TEST_F(HttpDoorTest, ACapabilityForAnythingElseIsRefusedInTheSameWords) {
  Open(true);
  const std::string good = Code("s");
  const std::string expired = Code("s");
  std::vector<std::string> targets = {
      "/i/a?taskHub=acme&code=" + good,
      "/i/a%2Fb?taskHub=globex&code=" + good,
      "/i/a%2Fb?code=" + good,
      "/i/a%252Fb?taskHub=acme&code=" + good,
      "/i/?taskHub=acme&code=" + good,
      "/i/a%2Fb?taskHub=acme&code=",
      absl::StrCat("/i/a%2Fb?taskHub=acme&code=", good, "&code=", good),
      "/i/a%2Fb?taskHub=acme&code=" + Code("tur"),
      "/i/a%2Fb?taskHub=nobody&code=" + Code("s", "nobody")};
  for (size_t i = 0; i < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = flipped[i] == 'A' ? 'B' : 'A';
    targets.push_back("/i/a%2Fb?taskHub=acme&code=" + flipped);
  }
  std::string first;
  for (const std::string& target : targets) {
    EXPECT_EQ(Ask("GET", target), 401) << target;
    if (first.empty()) first = refusal_.body;
    EXPECT_EQ(refusal_.body, first) << target;
  }
  EXPECT_EQ(Ask("DELETE", "/i/a%2Fb?taskHub=acme&code=" + good), 401);
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Ask("GET", "/i/a%2Fb?taskHub=acme&code=" + expired), 401);
  EXPECT_EQ(refusal_.body, first);
}

TEST_F(HttpDoorTest, LimitsOfTheTenantCount) {
  Open(true);
  const HttpFields shop = {{"Authorization", shop_}};
  EXPECT_EQ(Ask("POST", "/i/a/buy", shop), 202);
  EXPECT_EQ(
      Ask("POST", absl::StrCat("/i/a%2Fb/buy?taskHub=acme&code=", Code("e"))),
      202);
  EXPECT_EQ(Ask("POST", "/i/a/buy", shop), 429);
  EXPECT_EQ(refusal_.headers.Get("Retry-After"), "1");
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Ask("POST", "/i/a/buy", shop), 202);
}

TEST_F(HttpDoorTest, ARequestThatWaitsCountsAsAWaitUntilItsClientGoes) {
  Open(true);
  const HttpFields shop = {{"Authorization", shop_}};
  EXPECT_EQ(Begin("POST", "/i/a/buy", shop), 0);
  EXPECT_FALSE(lasts_);
  EXPECT_EQ(Begin("POST", "/i/a/buy?wait=1", shop), 0);
  EXPECT_TRUE(lasts_);
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(Begin("POST", "/i/a/buy?wait=1", shop), 429);
  EXPECT_THAT(refusal_.body, HasSubstr("waits"));
  EXPECT_EQ(Begin("POST", "/i/a/buy", shop), 0);
  // Its handler drops a call that nobody waits for.
  calls_[1]->SetGone();
  calls_.erase(calls_.begin() + 1);
  EXPECT_EQ(Begin("POST", "/i/a/buy?wait=1", shop), 0);
}

TEST_F(HttpDoorTest, EndsAreCountedForTheTenantButNotWhatADashboardAsksFor) {
  Open(true);
  const HttpFields shop = {{"Authorization", shop_}};
  const auto calls = [this](const char* tenant) {
    return access_->EndedCalls(tenant);
  };
  EXPECT_EQ(Ask("POST", "/runtime/a", shop), 202);
  EXPECT_EQ(calls("acme"), (CallOutcomes::Counts{1, 0, 0, 0}));
  EXPECT_EQ(Ask("POST", "/i/a/buy", shop), 202);
  EXPECT_EQ(calls("acme"), (CallOutcomes::Counts{1, 0, 0, 0}));
  EXPECT_EQ(Ask("POST", "/runtime/a", shop), 429);
  EXPECT_EQ(calls("acme"), (CallOutcomes::Counts{1, 0, 1, 0}));
  EXPECT_EQ(Ask("POST", "/runtime/a", {{"Authorization", eye_}}), 403);
  EXPECT_EQ(calls("globex"), (CallOutcomes::Counts{0, 0, 1, 0}));
  clock_.Advance(absl::Seconds(1));
  ASSERT_EQ(Begin("POST", "/runtime/a", shop), 0);
  calls_.back()->Fail(absl::NotFoundError("there is none"));
  EXPECT_EQ(calls("acme"), (CallOutcomes::Counts{1, 1, 1, 0}));
}

// ---- Parts of a request -----------------------------------------------------

class HttpPartTest : public HttpDoorTest {
 protected:
  // The status of a part of a request of that caller's.
  int AskPart(const std::shared_ptr<const Caller>& caller, std::string method,
              std::string target) {
    HttpRequest request;
    request.method = std::move(method);
    EXPECT_TRUE(ParseTarget(target, request).ok());
    const size_t before = calls_.size();
    door_->RunFor(caller, std::move(request), [this](HttpResponse response) {
      answers_.push_back(std::move(response));
    });
    if (calls_.size() > before) {
      caller_ = calls_.back()->request().caller;
      calls_.back()->Finish(EmptyResponse(202));
      calls_.pop_back();
    }
    return answers_.back().status;
  }
  std::shared_ptr<const Caller> CallerOf(const std::string& bearer) {
    EXPECT_EQ(Ask("GET", "/i/x", {{"Authorization", bearer}}), 202);
    reports_.clear();
    return caller_;
  }
};

TEST_F(HttpPartTest, APartNeedsItsRoleCountsAndIsReportedAsIfItCameByItself) {
  Open(true);
  const auto shop = CallerOf(shop_);
  const auto eye = CallerOf(eye_);
  EXPECT_EQ(AskPart(shop, "POST", "/i/a/buy"), 202);
  EXPECT_EQ(caller_->tenant, "acme");
  EXPECT_EQ(AskPart(eye, "POST", "/i/b/buy"), 403);
  EXPECT_EQ(AskPart(shop, "DELETE", "/i/c"), 403);
  EXPECT_THAT(reports_, ElementsAre("Buy acme a OK",
                                    "Buy globex refused b PERMISSION_DENIED",
                                    "Close acme refused c PERMISSION_DENIED"));
  EXPECT_EQ(AskPart(shop, "POST", "/i/a/buy"), 202);
  EXPECT_EQ(AskPart(shop, "POST", "/i/a/buy"), 429);
}

TEST_F(HttpPartTest, APartGoesNowhereElse) {
  Open(false);
  EXPECT_EQ(AskPart(Anonymous(), "POST", "/nothing"), 404);
  EXPECT_EQ(AskPart(Anonymous(), "PUT", "/i/a"), 405);
  EXPECT_EQ(AskPart(Anonymous(), "GET", "/i/a"), 202);
  door_->Drain();
  EXPECT_EQ(AskPart(Anonymous(), "GET", "/i/a"), 503);
}

TEST_F(HttpDoorTest, OnlySoManyReadTheStoreAtOnce) {
  Open(false);
  EXPECT_EQ(Begin("GET", "/i/a"), 0);
  EXPECT_EQ(Begin("GET", "/i/a"), 0);
  EXPECT_EQ(Begin("GET", "/i/a"), 503);
  EXPECT_EQ(refusal_.headers.Get("Retry-After"), "1");
  EXPECT_EQ(Begin("GET", "/healthz"), 0);
  calls_[0]->Finish(EmptyResponse(200));
  EXPECT_EQ(Begin("GET", "/i/a"), 0);
  calls_[1]->SetGone();
  EXPECT_EQ(Begin("GET", "/i/a"), 0);
}

TEST_F(HttpDoorTest, ATenantLeavesRoomForTheOthers) {
  Open(true);
  const HttpFields shop = {{"Authorization", shop_}};
  const HttpFields eye = {{"Authorization", eye_}};
  EXPECT_EQ(Begin("GET", "/i/a", shop), 0);
  EXPECT_EQ(Begin("GET", "/i/a", shop), 0);
  EXPECT_EQ(Begin("GET", "/i/a", shop), 503);
  EXPECT_EQ(Begin("GET", "/i/a", eye), 0);
  EXPECT_EQ(Begin("GET", "/i/a", eye), 503);
  calls_[0]->Finish(EmptyResponse(200));
  calls_[1]->Finish(EmptyResponse(200));
  EXPECT_EQ(Begin("GET", "/i/a", eye), 0);
}

TEST_F(HttpDoorTest, AnAnswerThatGoesOnAsksAgainWhetherItMay) {
  Open(true);
  ASSERT_EQ(Begin("GET", "/live", {{"Authorization", shop_}}), 0);
  const auto by_token = calls_.back()->request().may_still;
  const std::string id = *sessions_.Open(shop_.substr(strlen("Bearer ")));
  ASSERT_EQ(Begin("GET", "/live", {{"Cookie", "leasehold=" + id}}), 0);
  const auto by_session = calls_.back()->request().may_still;
  ASSERT_TRUE(by_token && by_session);
  EXPECT_TRUE(by_token());
  EXPECT_TRUE(by_session());
  sessions_.Close(id);
  EXPECT_TRUE(by_token());
  EXPECT_FALSE(by_session());
  // Its identity is gone.
  AccessRules rules;
  rules.policy = *ParsePolicy(R"({"tenants": {"acme": {}}, "identities": {}})");
  access_->Set(std::move(rules));
  EXPECT_FALSE(by_token());
}

TEST_F(HttpDoorTest, WhoSignsInAndOutIsReported) {
  Open(true);
  door_->Add(SessionRoutes(access_.get(), &sessions_), kMethods);
  const auto sign = [this](std::string path, std::string body,
                           HttpFields headers) {
    HttpRequest request;
    request.method = "POST";
    EXPECT_TRUE(ParseTarget(path, request).ok());
    request.headers = std::move(headers);
    request.headers.Add("Host", "localhost:1");
    request.headers.Add("Content-Type", "application/json");
    request.body = std::move(body);
    auto decided = door_->Admit(request, /*is_encrypted=*/false, {});
    if (auto* refused = std::get_if<HttpResponse>(&decided)) {
      return refused->status;
    }
    door_->Run(std::get<HttpDoor::Admitted>(std::move(decided)),
               std::move(request), [this](HttpResponse response) {
                 answers_.push_back(std::move(response));
               });
    return answers_.back().status;
  };
  const std::string token = shop_.substr(strlen("Bearer "));
  EXPECT_EQ(sign("/login", "{\"token\":\"" + token + "\"}", {}), 204);
  EXPECT_EQ(sign("/login", "{\"token\":\"wrong\"}", {}), 401);
  const std::string cookie = "leasehold=" + *sessions_.Open(token);
  EXPECT_EQ(sign("/logout", "", {{"Cookie", cookie}}), 403);
  EXPECT_EQ(sign("/logout", "",
                 {{"Cookie", cookie}, {"Origin", "http://localhost:1"}}),
            204);
  EXPECT_THAT(
      reports_,
      ElementsAre("Login acme  OK", "Login ? refused  UNAUTHENTICATED",
                  "Logout ? refused  PERMISSION_DENIED", "Logout acme  OK"));
}

TEST_F(HttpDoorTest, ADrainLeavesWhatIsOpenToAll) {
  Open(false);
  door_->Drain();
  EXPECT_EQ(Ask("GET", "/i/a"), 503);
  EXPECT_EQ(Ask("GET", "/healthz"), 202);
}

TEST_F(HttpDoorTest, WhoChangesSomethingOrIsRefusedIsReported) {
  Open(true);
  Ask("GET", "/i/a", {{"Authorization", shop_}});
  Ask("POST", "/i/a/buy", {{"Authorization", shop_}});
  Ask("POST", absl::StrCat("/i/a%2Fb/buy?taskHub=acme&code=", Code("e")));
  Ask("DELETE", "/i/a", {{"Authorization", eye_}});
  Ask("GET", "/i/a");
  EXPECT_THAT(reports_,
              ElementsAre("Buy acme a OK", "Buy acme by capability a/b OK",
                          "Close globex refused a PERMISSION_DENIED",
                          "Look ? refused a UNAUTHENTICATED"));
}

TEST_F(HttpDoorTest, RequestsAreCountedByWhatTheyAskForAndTheirAnswer) {
  Open(true);
  const auto count = [this](HttpGroup group, int status) {
    for (size_t code = 0; code < kHttpCodes; ++code) {
      if (kHttpStatuses[code] != status) continue;
      return door_->counts().answers[static_cast<size_t>(group)][code];
    }
    return uint64_t{1000};
  };
  const auto timed = [this](HttpGroup group) {
    const HttpDoor::Counts counts = door_->counts();
    const auto& buckets = counts.times[static_cast<size_t>(group)].counts;
    return std::accumulate(buckets.begin(), buckets.end(), uint64_t{0});
  };
  EXPECT_EQ(Ask("GET", "/healthz"), 202);
  EXPECT_EQ(count(HttpGroup::kHealth, 202), 1u);
  EXPECT_EQ(timed(HttpGroup::kHealth), 1u);
  EXPECT_EQ(Ask("GET", "/i/a"), 401);
  EXPECT_EQ(count(HttpGroup::kUi, 401), 1u);
  EXPECT_EQ(Ask("GET", "/nothing"), 404);
  EXPECT_EQ(count(HttpGroup::kNone, 404), 1u);
  door_->CountUnread(400);
  EXPECT_EQ(count(HttpGroup::kNone, 400), 1u);
  EXPECT_EQ(timed(HttpGroup::kUi), 0u);

  ASSERT_EQ(Begin("GET", "/healthz"), 0);
  clock_.Advance(absl::Milliseconds(3));
  calls_.back()->Finish(EmptyResponse(204));
  EXPECT_EQ(door_->counts().times[static_cast<size_t>(HttpGroup::kHealth)].sum,
            3'000'000u);
  EXPECT_EQ(count(HttpGroup::kHealth, 204), 1u);
}

}  // namespace
}  // namespace leasehold
