#include "service/http/durable_functions_capabilities.h"

#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/security/capability_keys.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

class CapabilityUrlsTest : public testing::Test {
 public:
  CapabilityUrlsTest()
      : capabilities_(CapabilityKeys::OpenIn(directory_.path()).value(),
                      absl::Hours(1), clock_) {}

  // The query of the URLs of a start.
  std::string QueryOf(const HttpFields& query,
                      absl::Duration lifetime = absl::Hours(1)) {
    HttpRequest request;
    request.base_url = "http://h";
    request.query = query;
    const ManagementUrls urls =
        CapabilityUrls(capabilities_, lifetime)(request, {"a&b", "the id"});
    EXPECT_EQ(urls.origin, "http://h");
    return urls.query;
  }
  bool Allows(const std::string& query, CapabilityVerb verb,
              std::string_view id = "the id") {
    const std::string code = query.substr(query.find("code=") + 5);
    return capabilities_
        .Check(code, {.tenant = "a&b", .instance_id = id}, verb,
               /*not_before=*/absl::InfinitePast())
        .ok();
  }

 private:
  TemporaryDirectory directory_;
  SimulatedClock clock_;
  Capabilities capabilities_;
};

TEST_F(CapabilityUrlsTest, AreGoodForTheInstanceAndWhatItsUsersDo) {
  const std::string query = QueryOf({});
  EXPECT_THAT(query, testing::StartsWith("taskHub=a%26b&code=c1."));
  EXPECT_TRUE(Allows(query, CapabilityVerb::kStatus));
  EXPECT_TRUE(Allows(query, CapabilityVerb::kTerminate));
  EXPECT_FALSE(Allows(query, CapabilityVerb::kHistory));
  EXPECT_FALSE(Allows(query, CapabilityVerb::kStatus, "another"));
}

TEST_F(CapabilityUrlsTest, AreNarrowedByTheStart) {
  const std::string query = QueryOf({{"capabilities", "hs"}});
  EXPECT_TRUE(Allows(query, CapabilityVerb::kHistory));
  EXPECT_FALSE(Allows(query, CapabilityVerb::kTerminate));
}

TEST_F(CapabilityUrlsTest, BearNoneThatCannotBeMade) {
  EXPECT_EQ(QueryOf({}, absl::Hours(2)), "taskHub=a%26b");
}

}  // namespace
}  // namespace leasehold
