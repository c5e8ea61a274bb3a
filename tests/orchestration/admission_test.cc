#include "service/orchestration/admission.h"

#include "gtest/gtest.h"

namespace leasehold {
namespace {

const absl::Status kFull = absl::UnavailableError("the disk is full");

TEST(Admission, RefusesEverythingUntilTheStoreIsOpen) {
  Admission admission;
  EXPECT_TRUE(absl::IsUnavailable(admission.serving()));
  EXPECT_TRUE(absl::IsUnavailable(admission.readable()));
  EXPECT_TRUE(absl::IsUnavailable(admission.accepting()));
  EXPECT_FALSE(admission.accepts());
  admission.Open();
  EXPECT_TRUE(admission.serving().ok());
  EXPECT_TRUE(admission.readable().ok());
  EXPECT_TRUE(admission.accepting().ok());
  EXPECT_TRUE(admission.accepts());
}

TEST(Admission, AStoreThatHasFailedIsReadUntilItIsOpenAgain) {
  Admission admission;
  admission.Open();
  admission.Fail(kFull);
  EXPECT_EQ(admission.serving(), kFull);
  EXPECT_EQ(admission.accepting(), kFull);
  EXPECT_FALSE(admission.accepts());
  EXPECT_TRUE(admission.readable().ok());
  admission.Open();
  EXPECT_TRUE(admission.accepts());
}

TEST(Admission, WhileDrainingOnlyStartsAndWaitsAreRefused) {
  Admission admission;
  admission.Open();
  admission.Drain();
  EXPECT_TRUE(admission.serving().ok());
  EXPECT_TRUE(admission.readable().ok());
  EXPECT_TRUE(absl::IsUnavailable(admission.accepting()));
  EXPECT_FALSE(admission.accepts());
}

TEST(Admission, AStoreThatOpensAgainDoesNotEndADrain) {
  Admission admission;
  admission.Open();
  admission.Drain();
  admission.Fail(kFull);
  admission.Open();
  EXPECT_TRUE(admission.serving().ok());
  EXPECT_FALSE(admission.accepts());
  EXPECT_FALSE(admission.accepting().ok());
}

TEST(Admission, StopsOnceAndForGood) {
  Admission admission;
  admission.Open();
  EXPECT_TRUE(admission.Stop());
  EXPECT_FALSE(admission.Stop());
  admission.Fail(kFull);
  EXPECT_NE(admission.serving(), kFull);
  admission.Open();
  EXPECT_TRUE(admission.stopped());
  EXPECT_FALSE(admission.serving().ok());
  EXPECT_FALSE(admission.readable().ok());
  EXPECT_FALSE(admission.accepts());
}

}  // namespace
}  // namespace leasehold
