// What a policy says that is right, and how one that is wrong is refused. How
// each member is checked is in tests/acceptance/identity.py.
#include "service/security/policy.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

std::string WhyNot(const std::string& text) {
  const absl::StatusOr<Policy> policy = ParsePolicy(text);
  EXPECT_FALSE(policy.ok()) << text;
  EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(policy.status().message());
}

// ---- Members that are there twice -------------------------------------------

TEST(Policy, AMemberThatIsThereTwiceIsNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"token_file": "a", "token_file": "a"})", "token_file: "},
      {R"({"tenants": {"acme": {}, "globex": {}, "acme": {"contexts": 1}}})",
       "tenants.acme: "},
      {R"({"tenants": {"acme": {"contexts": 5, "contexts": 50000}}})",
       "tenants.acme.contexts: "},
      {R"({"identities": {"a": {"tenant": "default", "roles": ["viewer"],
                                "roles": ["operator"]}}})",
       "identities.a.roles: "},
      {R"({"jwt": [{"issuer": "x"}, {"role_map": {"a": ["user"],
                                                  "a": ["operator"]}}]})",
       "jwt[1].role_map.a: "},
      // One name, however it is written.
      {R"({"tenants": {"acme": {}, "\u0061cme": {}}})", "tenants.acme: "},
      // Even where no member is known.
      {R"({"x": [1, [{"y": 1, "y": 2}]]})", "x[1][0].y: "},
      {R"({"tenants": {"a\u202eb": {}, "a\u202eb": {}}})",
       "tenants.\"a\\xe2\\x80\\xaeb\": "},
      {R"({"": 1, "": 2})", "\"\": "}};
  for (const auto& [text, place] : cases) {
    EXPECT_EQ(WhyNot(text), absl::StrCat(place, "is there twice"));
  }
}

TEST(Policy, OneNameInSeveralPlacesIsRight) {
  const absl::StatusOr<Policy> policy = ParsePolicy(R"({
    "tenants": {"acme": {"contexts": 1}, "contexts": {"contexts": 2}},
    "identities": {"acme": {"tenant": "acme", "roles": ["user"]},
                   "b": {"tenant": "acme", "roles": ["user"]}}})");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->tenants.at("contexts").contexts, 2u);
}

TEST(Policy, WhatIsNotJsonIsSaidToBeSo) {
  for (const char* text :
       {"", "{", "{\"a\": 1, \"a\": }", "[1, 2", "nonsense"}) {
    EXPECT_THAT(WhyNot(text), HasSubstr("the policy: is not JSON"));
  }
  EXPECT_THAT(WhyNot(std::string(100'000, '[')), HasSubstr("nested deeper"));
}

// ---- Bytes
// -------------------------------------------------------------------

TEST(Policy, HowManyBytesATenantMayHave) {
  const absl::StatusOr<Policy> policy = ParsePolicy(R"({"tenants": {
    "acme": {"stored_bytes": 10737418240, "kept_bytes": 1048576},
    "globex": {}}})");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->tenants.at("acme").stored_bytes, 10'737'418'240u);
  EXPECT_EQ(policy->tenants.at("acme").kept_bytes, 1'048'576u);
  EXPECT_EQ(policy->tenants.at("globex"), TenantLimits());
}

TEST(Policy, BytesThatAreNone) {
  for (const char* name : {"stored_bytes", "kept_bytes"}) {
    for (const char* value :
         {"0", "-1", "1.5", "\"1GiB\"", "null", "[1]", "1e13"}) {
      EXPECT_THAT(WhyNot(absl::StrCat("{\"tenants\": {\"acme\": {\"", name,
                                      "\": ", value, "}}}")),
                  HasSubstr(absl::StrCat("tenants.acme.", name,
                                         ": must be a whole number above 0")))
          << value;
    }
  }
}

// ---- Capability URLs --------------------------------------------------------

TEST(Policy, ATenantsUrlsOfBeforeAMoment) {
  const absl::StatusOr<Policy> policy = ParsePolicy(R"({"tenants": {
    "acme": {"urls_not_before": "2026-11-30T12:00:00Z", "contexts": 5},
    "globex": {"urls_not_before": "2026-11-30T13:00:00.5+01:00"},
    "initech": {}}})");
  ASSERT_TRUE(policy.ok()) << policy.status();
  const absl::Time noon = absl::FromUnixSeconds(1'796'040'000);
  EXPECT_EQ(policy->urls_not_before.at("acme"), noon);
  EXPECT_EQ(policy->tenants.at("acme").contexts, 5u);
  EXPECT_EQ(policy->urls_not_before.at("globex"),
            noon + absl::Milliseconds(500));
  EXPECT_EQ(policy->urls_not_before.at("initech"), absl::InfinitePast());
}

TEST(Policy, MomentsThatAreNone) {
  for (const char* value :
       {"\"\"", "1", "null", "[\"2026-11-30T12:00:00Z\"]", "\"2026-11-30\"",
        "\"2026-11-30T12:00:00\"", "\"2026-13-30T12:00:00Z\"", "\"now\"",
        "\"infinite-future\"", "\"infinite-past\"",
        "\"2026-11-30T12:00:00Z x\""}) {
    EXPECT_THAT(
        WhyNot(absl::StrCat(
            "{\"tenants\": {\"acme\": {\"urls_not_before\": ", value, "}}}")),
        HasSubstr("tenants.acme.urls_not_before: must be a "))
        << value;
  }
}

TEST(Policy, OnlyAnIdentitySeesTheWholeServerAndOnlyIfItSaysSo) {
  const auto policy = ParsePolicy(R"({"identities": {
    "eye": {"roles": ["viewer"], "server_stats": true},
    "shop": {"roles": ["operator"]},
    "no": {"roles": ["viewer"], "server_stats": false}}})");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_TRUE(policy->identities.at("eye").server_stats);
  EXPECT_FALSE(policy->identities.at("shop").server_stats);
  EXPECT_FALSE(policy->identities.at("no").server_stats);

  EXPECT_THAT(WhyNot(R"({"identities":
             {"eye": {"roles": ["viewer"], "server_stats": "yes"}}})"),
              HasSubstr("identities.eye.server_stats: must be true or false"));
  EXPECT_THAT(
      WhyNot(R"({"anonymous": {"roles": ["viewer"], "server_stats": true}})"),
      HasSubstr("server_stats"));
}

}  // namespace
}  // namespace leasehold
