#include "service/orchestration/directory.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using ::testing::ElementsAre;

OrchestrationPtr Make(RunNumber number, const std::string& id) {
  return std::make_shared<Orchestration>(number, InstanceKey{"t", id}, "Name",
                                         std::nullopt, "execution");
}

TEST(Directory, OneIsFoundByItsKeyAndItsNumber) {
  Directory directory;
  const OrchestrationPtr a = Make(1, "a");
  directory.Add(a);
  EXPECT_EQ(directory.Find({"t", "a"}), a);
  EXPECT_EQ(directory.FindByName(Directory::NameOf({"t", "a"})), a);
  EXPECT_EQ(directory.FindByNumber(1), a.get());
  EXPECT_EQ(directory.first(), a.get());
  EXPECT_TRUE(directory.Contains({"t", "a"}));
  EXPECT_EQ(directory.Find({"u", "a"}), nullptr);
  EXPECT_EQ(directory.FindByNumber(2), nullptr);
}

TEST(DirectoryDeathTest, NoTwoHaveOneNumber) {
  Directory directory;
  directory.Add(Make(1, "a"));
  EXPECT_DEATH(directory.Add(Make(1, "b")), "no two .* have one number");
}

TEST(Directory, OneThatIsAboutToEndIsNotOpen) {
  Directory directory;
  const OrchestrationPtr a = Make(1, "a");
  directory.Add(a);
  EXPECT_EQ(directory.FindOpen(a->key), a);
  a->ending = true;
  EXPECT_EQ(directory.FindOpen(a->key), nullptr);
  EXPECT_EQ(directory.Find(a->key), a);
}

TEST(Directory, OneOfWhichItIsUndecidedWhetherItEndsHasNotEnded) {
  Directory directory;
  const OrchestrationPtr a = Make(1, "a");
  directory.Add(a);
  EXPECT_EQ(directory.FindNotEnded(a->key), a);
  a->ending = a->undecided = true;
  EXPECT_EQ(directory.FindOpen(a->key), nullptr);
  EXPECT_EQ(directory.FindNotEnded(a->key), a);
  a->undecided = false;
  EXPECT_EQ(directory.FindNotEnded(a->key), nullptr);
  EXPECT_EQ(directory.FindNotEnded({"t", "b"}), nullptr);
}

TEST(Directory, KeyIsTheNewestOnesAndTheOldOneHasItsNumber) {
  Directory directory;
  const OrchestrationPtr before = Make(1, "a");
  const OrchestrationPtr after = Make(2, "a");
  directory.Add(before);
  directory.Add(after);
  EXPECT_EQ(directory.Find({"t", "a"}), after);
  EXPECT_EQ(directory.FindByNumber(1), before.get());
  EXPECT_EQ(directory.Remove(*before), nullptr);
  EXPECT_EQ(directory.Find({"t", "a"}), after);
  EXPECT_EQ(directory.Remove(*after), after);
  EXPECT_EQ(directory.size(), 0u);
  EXPECT_EQ(directory.first(), nullptr);
}

TEST(Directory, EachHasItsTurnToBeLookedAt) {
  Directory directory;
  std::vector<RunNumber> looked_at;
  const auto look = [&looked_at](const Orchestration& one) {
    looked_at.push_back(one.number);
  };
  directory.LookAtSome(2, look);
  EXPECT_THAT(looked_at, ElementsAre());
  std::vector<OrchestrationPtr> all;
  for (RunNumber number : {1, 2, 3}) {
    all.push_back(Make(number, std::to_string(number)));
    directory.Add(all.back());
  }
  directory.LookAtSome(2, look);
  EXPECT_THAT(looked_at, ElementsAre(1, 2));
  directory.LookAtSome(2, look);
  EXPECT_THAT(looked_at, ElementsAre(1, 2, 3, 1));
  looked_at.clear();
  directory.LookAtSome(10, look);
  EXPECT_THAT(looked_at, ElementsAre(2, 3, 1));
}

}  // namespace
}  // namespace leasehold
