#include "service/storage/witness.h"

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class WitnessTest : public testing::Test {
 protected:
  WitnessTest() : path_(directory_.path() + "/witness") { Begin(); }

  // Another process begins; the previous one has died in its present state.
  void Begin() {
    const std::string saved = witness_ == nullptr ? "" : witness_->Save();
    places_.clear();
    if (witness_ != nullptr) witness_->Restore(saved);
    auto opened = Witness::Open(path_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    witness_ = *std::move(opened);
  }
  void Add(RunNumber number, bool out, int32_t losses = 0) {
    places_.push_back(witness_->Add({number, 1, 7}));
    places_.back().SetOut(out);
    places_.back().SetLosses(losses);
  }
  std::vector<std::string> Left() {
    std::vector<std::string> left;
    for (Witness::Left& one : witness_->TakeLeft()) {
      left.push_back(absl::StrCat(one.name.number, " ", one.name.kind, " ",
                                  one.name.id, " lost ", one.losses));
      places_.push_back(std::move(one.place));
    }
    return left;
  }

  TemporaryDirectory directory_;
  const std::string path_;
  std::unique_ptr<Witness> witness_;
  std::vector<Witness::Place> places_;
};

TEST_F(WitnessTest, WhatWasOutHasOneLossMore) {
  Add(1, /*out=*/true);
  Add(2, /*out=*/false, /*losses=*/3);
  Add(3, /*out=*/true, /*losses=*/3);
  Begin();
  EXPECT_THAT(Left(),
              ElementsAre("1 1 7 lost 1", "2 1 7 lost 3", "3 1 7 lost 4"));
  EXPECT_THAT(Left(), IsEmpty());
  Begin();  // This time it was not out.
  EXPECT_THAT(Left(),
              ElementsAre("1 1 7 lost 1", "2 1 7 lost 3", "3 1 7 lost 4"));
}

TEST_F(WitnessTest, WhatIsFreedIsForgotten) {
  Add(1, true);
  Add(2, true);
  places_[0].Free();
  Begin();
  EXPECT_THAT(Left(), ElementsAre("2 1 7 lost 1"));
  places_.clear();
  Begin();
  EXPECT_THAT(Left(), IsEmpty());
}

TEST_F(WitnessTest, WhatFindsNoRoomIsNotNoted) {
  for (int i = 1; i <= 8192; ++i) Add(i, true);
  EXPECT_TRUE(places_.back());
  Add(9999, true);
  EXPECT_FALSE(places_.back());
  places_.pop_back();
  places_.pop_back();
  Add(10'000, true);
  EXPECT_TRUE(places_.back());
  Begin();
  EXPECT_THAT(Left(), SizeIs(8192));
}

TEST_F(WitnessTest, CommitsAreCountedOn) {
  EXPECT_EQ(witness_->commits(), 0u);
  witness_->SetCommits(41);
  Begin();
  EXPECT_EQ(witness_->commits(), 41u);
}

TEST_F(WitnessTest, AFileThatIsNotAWitnessIsReplaced) {
  for (const std::string& content :
       {std::string(), std::string("x"), std::string(300'000, 'x')}) {
    witness_.reset();
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << content;
    Begin();
    EXPECT_EQ(witness_->commits(), 0u);
    EXPECT_THAT(Left(), IsEmpty());
    Add(1, true);
    Begin();
    EXPECT_THAT(Left(), SizeIs(1));
    places_.clear();
  }
}

TEST_F(WitnessTest, IsUnavailableWhereItCannotBe) {
  const auto opened = Witness::Open(directory_.path() + "/none/witness");
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace leasehold
