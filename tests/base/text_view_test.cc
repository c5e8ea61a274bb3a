// A TextView where functions of the standard library and of Abseil want a view.
#include "lease/base/text_view.h"

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

// As InstanceContext::id gives it.
const std::string text = "room-1";
TextView Id() { return {text.data(), text.size()}; }

size_t Std(std::string_view view) { return view.size(); }
size_t Abseil(absl::string_view view) { return view.size(); }

TEST(TextView, IsTakenByBothLibraries) {
  EXPECT_EQ(Std(Id()), 6u);
  EXPECT_EQ(Abseil(Id()), 6u);
  EXPECT_EQ(absl::StrCat("<", Id(), ">"), "<room-1>");
  EXPECT_TRUE(absl::StartsWith(Id(), "room"));
  std::string longer = "in ";
  absl::StrAppend(&longer, Id());
  EXPECT_EQ(longer, "in room-1");
}

TEST(TextView, IsAKeyOfBothLibrariesMaps) {
  const absl::flat_hash_map<std::string, int> flat = {{"room-1", 7}};
  EXPECT_EQ(flat.find(Id())->second, 7);
  const std::map<std::string, int, std::less<>> tree = {{"room-1", 7}};
  EXPECT_EQ(tree.find(Id())->second, 7);
}

TEST(TextView, IsAnyOtherView) {
  EXPECT_EQ(Id(), "room-1");
  EXPECT_EQ(Id(), std::string_view("room-1"));
  EXPECT_EQ(Id(), std::string("room-1"));
  EXPECT_NE(Id(), TextView("room-2"));
  const std::string_view view = Id();
  const absl::string_view other = Id();
  const std::string copy(Id());
  EXPECT_EQ(view.data(), other.data());
  EXPECT_EQ(copy, "room-1");
}

}  // namespace
}  // namespace leasehold
