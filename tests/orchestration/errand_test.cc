#include "service/orchestration/errand.h"

#include <optional>
#include <vector>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

class ErrandTest : public testing::Test {
 protected:
  // Ends a part, and makes the calls that remain.
  void End(Errand& errand, const absl::Status& status = absl::OkStatus(),
           Instant now = {}) {
    Errand::Calls calls;
    errand.End(status, now, calls);
    for (const auto& call : calls) call();
  }
  Errand::Done Note() {
    return [this](const absl::Status& status, int64_t reached) {
      EXPECT_FALSE(answer_.has_value()) << "answered twice";
      answer_ = status;
      reached_ = reached;
    };
  }

  std::optional<absl::Status> answer_;
  int64_t reached_ = 0;
};

TEST_F(ErrandTest, IsOverWhenTheLastPartHasEnded) {
  Errand errand(Note());
  errand.Begin();
  errand.Begin();
  errand.Reach();
  End(errand);
  EXPECT_FALSE(answer_.has_value());
  errand.Begin();
  errand.Reach();
  End(errand);
  EXPECT_FALSE(answer_.has_value());
  End(errand);
  ASSERT_TRUE(answer_.has_value());
  EXPECT_TRUE(answer_->ok());
  EXPECT_EQ(reached_, 2);
}

TEST_F(ErrandTest, APartThatFailsIsToldAtOnceAndTheRestIsNot) {
  Errand errand(Note());
  errand.Begin();
  errand.Begin();
  End(errand, absl::UnavailableError("busy"));
  EXPECT_EQ(answer_, absl::UnavailableError("busy"));
  End(errand);
}

TEST_F(ErrandTest, APartThatEndsTooLateEndsItEarly) {
  Errand errand(Note(), Instant{} + absl::Seconds(5));
  errand.Begin();
  errand.Begin();
  errand.Reach();
  End(errand, absl::OkStatus(), Instant{} + absl::Seconds(5));
  EXPECT_FALSE(answer_.has_value());
  errand.Begin();
  End(errand, absl::OkStatus(), Instant{} + absl::Seconds(6));
  ASSERT_TRUE(answer_.has_value());
  EXPECT_TRUE(absl::IsDeadlineExceeded(*answer_));
  EXPECT_EQ(reached_, 1);
  End(errand, absl::OkStatus(), Instant{} + absl::Seconds(7));
}

}  // namespace
}  // namespace leasehold
