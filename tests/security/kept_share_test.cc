// How many bytes calls of a tenant may make the server keep.
#include <string>
#include <string_view>
#include <utility>

#include "gtest/gtest.h"
#include "service/security/access_control.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

constexpr size_t kAll = 700;
constexpr size_t kConnection = 100;

class KeptShareTest : public testing::Test {
 protected:
  static AccessRules Rules(std::string_view policy) {
    absl::StatusOr<Policy> parsed = ParsePolicy(policy);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    AccessRules rules;
    if (parsed.ok()) rules.policy = *std::move(parsed);
    return rules;
  }
  size_t MaxOf(std::string_view policy, const std::string& tenant) {
    return AccessControl(Rules(policy), clock_)
        .KeptBytesMax(tenant, kAll, kConnection);
  }

  SimulatedClock clock_;
};

TEST_F(KeptShareTest, OneTenantAloneHasNoLimitOfItsOwn) {
  EXPECT_EQ(MaxOf("{}", "default"), 0u);
  // The others are nobody's.
  EXPECT_EQ(MaxOf(R"({"tenants": {"acme": {}, "globex": {}}, "identities": {
      "a": {"tenant": "acme", "roles": ["user"]}}})",
                  "acme"),
            0u);
}

TEST_F(KeptShareTest, SeveralShareFairly) {
  constexpr char kTwo[] = R"({"tenants": {"acme": {}, "globex": {}},
    "identities": {"a": {"tenant": "acme", "roles": ["user"]},
                   "b": {"tenant": "acme", "roles": ["user"]}},
    "anonymous": {"tenant": "globex", "roles": ["viewer"]}})";
  EXPECT_EQ(MaxOf(kTwo, "acme"), kAll / 2);
  EXPECT_EQ(MaxOf(kTwo, "globex"), kAll / 2);
  constexpr char kFive[] = R"({"tenants": {"a": {}, "b": {}, "c": {}, "d": {},
                                           "e": {}},
    "identities": {"a": {"tenant": "a", "roles": ["user"],
                         "task_hubs": ["b"]}},
    "jwt": [{"issuer": "i", "audience": "u", "jwks_file": "f",
             "tenant_claim": "t", "tenants": ["c", "d"],
             "role_map": {"x": ["user"]}},
            {"issuer": "j", "audience": "u", "jwks_file": "f", "tenant": "e",
             "role_map": {"x": ["user"]}}]})";
  EXPECT_EQ(MaxOf(kFive, "d"), kAll / 5);
}

TEST_F(KeptShareTest, AShareIsNoLessThanAConnectionMayHave) {
  std::string tenants;
  std::string identities;
  for (int i = 0; i < 50; ++i) {
    const std::string name = "t" + std::to_string(i);
    if (i > 0) tenants += ", ";
    if (i > 0) identities += ", ";
    tenants += "\"" + name + "\": {}";
    identities +=
        "\"" + name + "\": {\"tenant\": \"" + name + R"(", "roles": ["user"]})";
  }
  EXPECT_EQ(MaxOf("{\"tenants\": {" + tenants + "}, \"identities\": {" +
                      identities + "}}",
                  "t7"),
            kConnection);
}

TEST_F(KeptShareTest, ThePolicyDecidesAndMayChange) {
  constexpr char kBefore[] = R"({"tenants": {"acme": {"kept_bytes": 5}}})";
  constexpr char kAfter[] = R"({"tenants": {"acme": {"kept_bytes": 1000}}})";
  AccessControl access(Rules(kBefore), clock_);
  EXPECT_EQ(access.KeptBytesMax("acme", kAll, kConnection), 5u);
  access.Set(Rules(kAfter));
  EXPECT_EQ(access.KeptBytesMax("acme", kAll, kConnection), 1000u);
}

}  // namespace
}  // namespace leasehold
