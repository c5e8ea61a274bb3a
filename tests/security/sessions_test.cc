#include "service/security/sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

using testing::Eq;
using testing::Optional;

class SessionsTest : public testing::Test {
 protected:
  std::string Open(const std::string& token) {
    return sessions_.Open(token).value();
  }

  SimulatedClock clock_;
  Sessions sessions_{clock_};
};

TEST_F(SessionsTest, StandsForTheTokenUntilItIsClosed) {
  const std::string shop = Open("shop");
  const std::string eye = Open("eye");
  EXPECT_THAT(sessions_.TokenOf(shop), Optional(Eq("shop")));
  EXPECT_THAT(sessions_.TokenOf(eye), Optional(Eq("eye")));
  sessions_.Close(shop);
  sessions_.Close(shop);
  EXPECT_EQ(sessions_.TokenOf(shop), std::nullopt);
  EXPECT_THAT(sessions_.TokenOf(eye), Optional(Eq("eye")));
}

TEST_F(SessionsTest, IdsAreLongAndNoTwoAreEqual) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const std::string id = Open(absl::StrCat("token ", i));
    EXPECT_EQ(id.size(), 43U);  // 256 bits in base64url.
    EXPECT_TRUE(ids.insert(id).second);
  }
  std::string other = *ids.begin();
  other.front() = other.front() == 'A' ? 'B' : 'A';
  EXPECT_EQ(sessions_.TokenOf(other), std::nullopt);
  EXPECT_EQ(sessions_.TokenOf(""), std::nullopt);
}

TEST_F(SessionsTest, EndsTwelveHoursAfterItWasOpened) {
  const std::string id = Open("shop");
  clock_.Advance(absl::Hours(12) - absl::Seconds(1));
  EXPECT_THAT(sessions_.TokenOf(id), Optional(Eq("shop")));
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(sessions_.TokenOf(id), std::nullopt);
}

TEST_F(SessionsTest, OneCredentialHasSixteenAndANewOneEndsItsOldest) {
  const std::string other = Open("eye");
  std::vector<std::string> ids;
  for (size_t i = 0; i <= Sessions::kOfCredentialMax; ++i) {
    ids.push_back(Open("shop"));
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(sessions_.TokenOf(ids.front()), std::nullopt);
  for (size_t i = 1; i < ids.size(); ++i) {
    EXPECT_THAT(sessions_.TokenOf(ids[i]), Optional(Eq("shop"))) << i;
  }
  EXPECT_THAT(sessions_.TokenOf(other), Optional(Eq("eye")));
}

TEST_F(SessionsTest, OneTooManyIsRefusedUntilOthersHaveExpired) {
  for (size_t i = 0; i < Sessions::kSessionsMax; ++i) {
    ASSERT_TRUE(sessions_.Open(absl::StrCat(i)).ok());
  }
  EXPECT_EQ(sessions_.Open("one more").status().code(),
            absl::StatusCode::kResourceExhausted);
  clock_.Advance(Sessions::kLifetime);
  EXPECT_TRUE(sessions_.Open("one more").ok());
}

}  // namespace
}  // namespace leasehold
