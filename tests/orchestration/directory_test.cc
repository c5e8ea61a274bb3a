#include "service/orchestration/directory.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
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

TEST(Directory, CountsWhatCallersBeganByTenant) {
  Directory directory;
  EXPECT_EQ(directory.BegunByCallers("t"), 0u);
  const OrchestrationPtr a = Make(1, "a");
  const OrchestrationPtr again = Make(2, "a");
  const OrchestrationPtr child = Make(3, "child");
  child->begun_by_work = true;
  for (const auto& one : {a, again, child}) directory.Add(one);
  // Until its end is durable, also the one that has given up its key.
  EXPECT_EQ(directory.BegunByCallers("t"), 2u);
  EXPECT_EQ(directory.BegunByCallers("u"), 0u);
  EXPECT_TRUE(directory.CountsRightly());
  directory.Remove(*a);
  EXPECT_EQ(directory.BegunByCallers("t"), 1u);
  directory.SetAside(*child, "noise");
  directory.Remove(*child);
  EXPECT_EQ(directory.BegunByCallers("t"), 1u);
  directory.SetAside(*again, "noise");
  EXPECT_EQ(*again->damage, "noise");
  EXPECT_EQ(directory.BegunByCallers("t"), 0u);
  EXPECT_TRUE(directory.CountsRightly());
  directory.Remove(*again);
  EXPECT_TRUE(directory.CountsRightly());
}

TEST(Directory, SeesThatItHasCountedWrongly) {
  Directory directory;
  const OrchestrationPtr a = Make(1, "a");
  directory.Add(a);
  a->begun_by_work = true;
  EXPECT_FALSE(directory.CountsRightly());
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

// One that may be packed.
OrchestrationPtr MakeParked(RunNumber number, const std::string& id) {
  OrchestrationPtr one = Make(number, id);
  one->durable = true;
  return one;
}

TEST(Directory, OneThatIsParkedIsPackedUntilItIsLookedFor) {
  Directory directory;
  directory.Add(MakeParked(1, "a"));
  directory.PackSome();
  EXPECT_EQ(directory.packed(), 0);  // Nobody said that it is parked.
  directory.NoteParked(1);
  directory.NoteParked(1);
  directory.PackSome();
  EXPECT_EQ(directory.packed(), 1);
  EXPECT_EQ(directory.size(), 1);
  EXPECT_TRUE(directory.Contains({"t", "a"}));
  EXPECT_EQ(directory.packed(), 1);

  const Orchestration* again = directory.FindByNumber(1);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->key, (InstanceKey{"t", "a"}));
  EXPECT_EQ(directory.packed(), 0);
  EXPECT_EQ(directory.Find({"t", "a"}).get(), again);

  directory.PackSome();  // What was only looked at is packed again.
  EXPECT_EQ(directory.packed(), 1);
  EXPECT_EQ(directory.FindByName(Directory::NameOf({"t", "a"}))->number, 1);
  directory.PackSome();
  EXPECT_EQ(directory.first()->number, 1);
  EXPECT_EQ(directory.Remove(*directory.first())->number, 1);
  EXPECT_EQ(directory.size(), 0);
  directory.PackSome();
  EXPECT_EQ(directory.packed(), 0);
}

TEST(Directory, OneThatIsInUseIsNotPacked) {
  Directory directory;
  directory.Add(MakeParked(1, "a"));
  OrchestrationPtr user = directory.Find({"t", "a"});
  directory.NoteParked(1);
  directory.PackSome();
  EXPECT_EQ(directory.packed(), 0);
  EXPECT_EQ(directory.Find({"t", "a"}), user);
  user.reset();
  directory.PackSome();
  EXPECT_EQ(directory.packed(), 1);
}

TEST(Directory, OneWithSomethingUnderWayIsPackedWhenItIsParkedAgain) {
  Directory directory;
  directory.Add(MakeParked(1, "a"));
  directory.Find({"t", "a"})->held = true;
  directory.NoteParked(1);
  directory.PackSome();
  directory.Find({"t", "a"})->held = false;
  directory.PackSome();
  EXPECT_EQ(directory.packed(), 0);
  directory.NoteParked(1);
  directory.PackSome();
  EXPECT_EQ(directory.packed(), 1);
}

TEST(Directory, ManyAreFoundWhileSomeArePacked) {
  constexpr int kMany = 1000;
  Directory directory;
  const auto id = [](int number) { return "id-" + std::to_string(number); };
  for (int i = 1; i <= kMany; ++i) {
    directory.Add(MakeParked(i, id(i)));
    if (i % 3 != 0) directory.NoteParked(i);
    directory.PackSome();
  }
  EXPECT_EQ(directory.packed(), kMany - kMany / 3);
  for (int i = 1; i <= kMany; ++i) {
    EXPECT_EQ(directory.Find({"t", id(i)})->number, i);
    EXPECT_EQ(directory.FindByNumber(i)->key.id, id(i));
    if (i % 2 == 0) directory.PackSome();
  }
  EXPECT_EQ(directory.Find({"t", id(kMany + 1)}), nullptr);
  EXPECT_EQ(directory.size(), kMany);
}

TEST(Directory, ATenantHasItsOwnPackedOrNotInOrder) {
  Directory directory;
  const auto add = [&directory](RunNumber number, std::string tenant) {
    directory.Add(std::make_shared<Orchestration>(
        number, InstanceKey{std::move(tenant), "a"}, "Name", std::nullopt,
        "execution"));
    directory.FindByNumber(number)->durable = true;
    directory.NoteParked(number);
  };
  add(3, "t");
  add(2, "tt");
  add(1, "t");  // The number 3 gives up its key, and ends.
  const OrchestrationPtr other = directory.Find({"tt", "a"});
  directory.PackSome();
  EXPECT_THAT(directory.NumbersOf("t"), ElementsAre(1, 3));
  EXPECT_THAT(directory.NumbersOf("tt"), ElementsAre(2));
  EXPECT_THAT(directory.NumbersOf(""), testing::IsEmpty());
}

TEST(Directory, ANameIsOfOneTenant) {
  const std::string name = Directory::NameOf({"t", "u"});
  EXPECT_TRUE(Directory::IsOf(name, "t"));
  EXPECT_FALSE(Directory::IsOf(name, ""));
  EXPECT_FALSE(Directory::IsOf(name, "tu"));
  EXPECT_FALSE(Directory::IsOf(Directory::NameOf({"tt", "u"}), "t"));
  EXPECT_TRUE(Directory::IsOf(Directory::NameOf({"", "u"}), ""));
}

TEST(Directory, EachIsCountedByTheStatusThatItHasNow) {
  Directory directory;
  const OrchestrationPtr a = Make(1, "a");
  directory.Add(a);
  directory.Add(Make(2, "b"));
  using Status = OrchestrationStatus;
  EXPECT_EQ(directory.by_status().at(Status::kPending), 2u);
  directory.SetStatus(*a, Status::kRunning);
  EXPECT_EQ(a->status, Status::kRunning);
  EXPECT_EQ(directory.by_status().at(Status::kPending), 1u);
  EXPECT_EQ(directory.by_status().at(Status::kRunning), 1u);
  EXPECT_TRUE(directory.CountsRightly());
  directory.Remove(*a);
  EXPECT_EQ(directory.by_status().at(Status::kRunning), 0u);
  EXPECT_TRUE(directory.CountsRightly());
}

}  // namespace
}  // namespace leasehold
