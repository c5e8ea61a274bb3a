#include "service/security/capability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "service/security/capability_keys.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

constexpr CapabilityTarget kTarget = {.tenant = "acme",
                                      .instance_id = "room-1"};

class CapabilityTest : public testing::Test {
 protected:
  CapabilityTest()
      : keys_(CapabilityKeys::OpenIn(directory_.path()).value()),
        capabilities_(keys_, absl::Hours(24 * 30), clock_) {}

  std::string Make(std::string_view verbs = "set",
                   absl::Duration lifetime = absl::Hours(1)) {
    return capabilities_.Make(kTarget, verbs, lifetime).value();
  }
  bool Allows(const std::string& code,
              CapabilityVerb verb = CapabilityVerb::kStatus,
              const CapabilityTarget& target = kTarget) {
    const absl::Status status =
        capabilities_.Check(code, target, verb, not_before_);
    if (status.ok()) return true;
    // One text for all causes.
    EXPECT_EQ(status, absl::UnauthenticatedError(
                          "the code in the URL does not allow this: it has "
                          "expired, or is for something else"));
    return false;
  }

  TemporaryDirectory directory_;
  SimulatedClock clock_;
  CapabilityKeys keys_;
  Capabilities capabilities_;
  absl::Time not_before_ = absl::InfinitePast();
};

TEST_F(CapabilityTest, AllowsItsVerbsAndNoOthers) {
  const std::string code = Make("tse");
  EXPECT_TRUE(Allows(code, CapabilityVerb::kStatus));
  EXPECT_TRUE(Allows(code, CapabilityVerb::kRaiseEvent));
  EXPECT_TRUE(Allows(code, CapabilityVerb::kTerminate));
  EXPECT_FALSE(Allows(code, CapabilityVerb::kHistory));
  EXPECT_FALSE(Allows(code, CapabilityVerb::kSuspend));
  EXPECT_FALSE(Allows(code, CapabilityVerb::kResume));
}

TEST_F(CapabilityTest, HasOneForm) {
  EXPECT_THAT(
      Make("ruteshhs"),
      MatchesRegex("c1[.][A-Za-z0-9_-]{8}[.]shetur[.][0-9]{10}[.][0-9]{10}[.]"
                   "[A-Za-z0-9_-]{43}"));
  EXPECT_EQ(Make("tes"), Make("set"));
  EXPECT_EQ(Make("sets"), Make("set"));
}

// The MAC is the one that the header describes: other programs may make it.
TEST_F(CapabilityTest, MacOfAKnownKey) {
  const std::string path = directory_.path() + "/known";
  std::ofstream(path) << "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n";
  const Capabilities known(CapabilityKeys::ReadFile(path).value(),
                           absl::Hours(1), clock_);
  ASSERT_EQ(absl::ToUnixSeconds(clock_.WallNow()), 1'577'836'800);
  EXPECT_EQ(known.Make(kTarget, "st", absl::Hours(1)).value(),
            "c1.4hAKjmW3.st.1577836800.1577840400."
            "8XITREUY_1Ud1MO2D4OP_oiymmK_iq50vLH8SKy5kgI");
}

TEST_F(CapabilityTest, EndsAtItsExpiry) {
  const std::string code = Make("s", absl::Seconds(60));
  clock_.Advance(absl::Seconds(59));
  EXPECT_TRUE(Allows(code));
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(Allows(code));
}

TEST_F(CapabilityTest, ThoseOfBeforeCanBeVoid) {
  clock_.Advance(absl::Milliseconds(500));
  const std::string before = Make();
  clock_.Advance(absl::Seconds(1));
  const absl::Time moment = clock_.WallNow();
  const std::string same_second = Make();
  clock_.Advance(absl::Seconds(1));
  const std::string behind = Make();
  EXPECT_TRUE(Allows(before));
  // It is the second that counts, and what may be of before is.
  not_before_ = moment;
  EXPECT_FALSE(Allows(before));
  EXPECT_FALSE(Allows(same_second));
  EXPECT_TRUE(Allows(behind));
  not_before_ = absl::FromUnixSeconds(absl::ToUnixSeconds(moment));
  EXPECT_FALSE(Allows(before));
  EXPECT_TRUE(Allows(same_second));
  // A moment that is still to come voids what is made until then.
  not_before_ = moment + absl::Hours(1);
  EXPECT_FALSE(Allows(behind));
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(Allows(Make()));
  not_before_ = absl::InfiniteFuture();
  EXPECT_FALSE(Allows(Make()));
}

TEST_F(CapabilityTest, VerbsAndLifetimesThatCannotBe) {
  for (const char* verbs : {"", "x", "sS", "s.", "s t", "p", "l"}) {
    const auto made = capabilities_.Make(kTarget, verbs, absl::Hours(1));
    ASSERT_FALSE(made.ok()) << verbs;
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(made.status().message()), HasSubstr("shetur"));
  }
  for (const absl::Duration lifetime :
       {absl::ZeroDuration(), absl::Seconds(-1), absl::Milliseconds(999),
        absl::Hours(24 * 30) + absl::Seconds(1), absl::InfiniteDuration()}) {
    const auto made = capabilities_.Make(kTarget, "s", lifetime);
    ASSERT_FALSE(made.ok()) << lifetime;
    EXPECT_THAT(std::string(made.status().message()),
                HasSubstr("--url-lifetime=720h"));
  }
}

// ---- Attacks ----------------------------------------------------------------

TEST_F(CapabilityTest, EachByteCounts) {
  const std::string code = Make();
  ASSERT_TRUE(Allows(code));
  for (size_t i = 0; i < code.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string other = code;
      other[i] = static_cast<char>(other[i] ^ (1 << bit));
      EXPECT_FALSE(Allows(other)) << other;
    }
    EXPECT_FALSE(Allows(code.substr(0, i)));
    EXPECT_FALSE(Allows(code.substr(i + 1)));
  }
  for (const char* end : {"=", ".", "A", " ", "\n", "&code=", "%00"}) {
    EXPECT_FALSE(Allows(code + end)) << end;
    EXPECT_FALSE(Allows(end + code)) << end;
  }
  EXPECT_FALSE(Allows(code + std::string(1, '\0')));
  EXPECT_FALSE(Allows(code + code));
  EXPECT_FALSE(Allows(std::string(1 << 20, '.')));
}

TEST_F(CapabilityTest, PartsCannotBeChanged) {
  const std::vector<std::string> parts = absl::StrSplit(Make("s"), '.');
  const auto with = [&parts](size_t i, const std::string& text) {
    std::vector<std::string> changed = parts;
    changed[i] = text;
    return absl::StrJoin(changed, ".");
  };
  ASSERT_TRUE(Allows(with(0, "c1")));
  for (const char* version : {"", "c0", "c2", "C1", "c11"}) {
    EXPECT_FALSE(Allows(with(0, version)));
  }
  for (const char* key : {"", "AAAAAAAA", "../../.."}) {
    EXPECT_FALSE(Allows(with(1, key)));
  }
  for (const char* verbs : {"", "st", "shetur", "ss", "S", "s1"}) {
    EXPECT_FALSE(Allows(with(2, verbs))) << verbs;
    EXPECT_FALSE(Allows(with(2, verbs), CapabilityVerb::kTerminate)) << verbs;
  }
  for (const size_t i : {size_t{3}, size_t{4}}) {
    for (const std::string& time :
         {std::string(), "0" + parts[i], "+" + parts[i], " " + parts[i],
          parts[i] + "0", std::string("9999999999"), std::string("-1"),
          std::string("99999999999999999999999")}) {
      EXPECT_FALSE(Allows(with(i, time))) << time;
    }
  }
  // A digit that moves between what is signed without lengths.
  EXPECT_FALSE(
      Allows(with(2, "s" + parts[3].substr(0, 1) + "." + parts[3].substr(1))));
  EXPECT_FALSE(Allows(
      with(3, parts[3] + parts[4].substr(0, 1) + "." + parts[4].substr(1))));
  EXPECT_FALSE(Allows(with(5, "")));
  EXPECT_FALSE(Allows(with(5, std::string(43, 'A'))));
  EXPECT_FALSE(Allows(with(5, parts[5] + "=")));
}

TEST_F(CapabilityTest, IsForOneInstanceOfOneTenant) {
  const std::string code = Make("s");
  const auto allows = [&](std::string_view tenant, std::string_view id) {
    return Allows(code, CapabilityVerb::kStatus,
                  {.tenant = tenant, .instance_id = id});
  };
  EXPECT_TRUE(allows("acme", "room-1"));
  EXPECT_FALSE(allows("other", "room-1"));
  EXPECT_FALSE(allows("room-1", "acme"));
  EXPECT_FALSE(allows("", "acmeroom-1"));
  EXPECT_FALSE(allows("acmeroom-1", ""));
  EXPECT_FALSE(allows("acmer", "oom-1"));
  EXPECT_FALSE(allows("ACME", "room-1"));
  // What has not been decoded, or has been twice, is another instance.
  for (const char* id :
       {"room%2D1", "room%2d1", "room-1/", "/room-1", "//room-1", "./room-1",
        "x/../room-1", "Room-1", "room-1 ", "room-1\n", "room-11", "room-"}) {
    EXPECT_FALSE(allows("acme", id)) << id;
  }
  EXPECT_FALSE(allows("acme", std::string_view("room-1\0", 7)));
}

// ---- Keys -------------------------------------------------------------------

TEST_F(CapabilityTest, RotatedKeyIsValidOnce) {
  const std::string first = Make();
  capabilities_.SetKeys(
      CapabilityKeys::Rotate(CapabilityKeys::FileIn(directory_.path()))
          .value());
  const std::string second = Make();
  EXPECT_NE(first, second);
  EXPECT_TRUE(Allows(first));
  EXPECT_TRUE(Allows(second));
  capabilities_.SetKeys(
      CapabilityKeys::Rotate(CapabilityKeys::FileIn(directory_.path()))
          .value());
  EXPECT_FALSE(Allows(first));
  EXPECT_TRUE(Allows(second));
  EXPECT_TRUE(Allows(Make()));
}

TEST_F(CapabilityTest, KeysAreTheSameWhenTheServerComesBack) {
  const std::string code = Make();
  const Capabilities again(CapabilityKeys::OpenIn(directory_.path()).value(),
                           absl::Hours(1), clock_);
  EXPECT_TRUE(
      again.Check(code, kTarget, CapabilityVerb::kStatus, not_before_).ok());
  TemporaryDirectory other;
  const Capabilities elsewhere(CapabilityKeys::OpenIn(other.path()).value(),
                               absl::Hours(1), clock_);
  EXPECT_FALSE(
      elsewhere.Check(code, kTarget, CapabilityVerb::kStatus, not_before_)
          .ok());
}

TEST_F(CapabilityTest, KeysAreReadableForTheirUserAlone) {
  const std::string path = directory_.path() + "/capability-keys";
  const auto mode_of = [](const std::string& file) {
    struct stat found = {};
    EXPECT_EQ(stat(file.c_str(), &found), 0);
    return found.st_mode & 07777;
  };
  EXPECT_EQ(mode_of(path), 0600u);
  // What a server that was killed while it rotated has left behind.
  std::ofstream(path + ".new") << "half of a k";
  ASSERT_EQ(chmod((path + ".new").c_str(), 0666), 0);
  ASSERT_TRUE(CapabilityKeys::Rotate(path).ok());
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_NE(access((path + ".new").c_str(), F_OK), 0);
}

TEST_F(CapabilityTest, ManyThreadsMayCheckWhileKeysRotate) {
  const std::string code = Make();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this, &code] {
      for (int i = 0; i < 200; ++i) EXPECT_TRUE(Allows(code));
    });
  }
  for (int i = 0; i < 200; ++i) capabilities_.SetKeys(keys_);
  for (std::thread& thread : threads) thread.join();
}

std::string Lines(const std::vector<std::string>& lines) {
  return absl::StrJoin(lines, "\n");
}

TEST_F(CapabilityTest, FilesThatHoldNoKeys) {
  const std::string path = directory_.path() + "/keys";
  const std::string a = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  const std::string b = "BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  const std::string c = "CAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  const auto read = [&path](const std::string& text) {
    std::ofstream(path) << text;
    return CapabilityKeys::ReadFile(path);
  };
  EXPECT_TRUE(read(a).ok());
  EXPECT_TRUE(
      read(Lines({"# new", "", "  " + a + " \r", "# old", b, ""})).ok());
  struct Case {
    std::string text;
    std::string why;
  };
  for (const Case& each :
       std::vector<Case>{{"", "holds 0 keys"},
                         {"# nothing\n", "holds 0 keys"},
                         {Lines({a, b, c}), "holds 3 keys"},
                         {Lines({a, a}), "line 2 is the first key again"},
                         {Lines({a, b.substr(1)}), "line 2 is not a key"},
                         {a + "=", "line 1 is not a key"},
                         {a.substr(0, 42) + "9", "line 1 is not a key"},
                         {a + b, "line 1 is not a key"},
                         {"secret", "line 1 is not a key"}}) {
    const auto keys = read(each.text);
    ASSERT_FALSE(keys.ok()) << each.text;
    EXPECT_EQ(keys.status().code(), absl::StatusCode::kInvalidArgument);
    const std::string message(keys.status().message());
    EXPECT_THAT(message, HasSubstr(path + ": " + each.why));
    EXPECT_EQ(message.find("AQIDBAU"), std::string::npos);
  }
  EXPECT_FALSE(CapabilityKeys::ReadFile(directory_.path() + "/none").ok());
}

TEST_F(CapabilityTest, DamagedKeysOfADirectoryAreNotReplaced) {
  const std::string path = directory_.path() + "/capability-keys";
  std::ofstream(path) << "damaged";
  EXPECT_FALSE(CapabilityKeys::OpenIn(directory_.path()).ok());
  EXPECT_FALSE(CapabilityKeys::Rotate(path).ok());
  std::string left;
  std::ifstream(path) >> left;
  EXPECT_EQ(left, "damaged");
  EXPECT_EQ(CapabilityKeys::OpenIn(directory_.path() + "/none").status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace leasehold
