#include "service/network/caller_addresses.h"

#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

constexpr char kPeer[] = "ipv4:10.0.0.1:5";
constexpr char kCaller[] = "ipv4:203.0.113.7:4711";
constexpr char kOther[] = "ipv4:203.0.113.8:4711";

TEST(CallerAddresses, PeerStandsForItselfUnlessAProxyHasNamedItsCaller) {
  CallerAddresses callers;
  EXPECT_EQ(callers.Find(kPeer), kPeer);
  EXPECT_EQ(callers.Find(""), "");
  callers.Add(kPeer, 1, kCaller);
  EXPECT_EQ(callers.Find(kPeer), kCaller);
  EXPECT_EQ(callers.Find("ipv4:10.0.0.1:6"), "ipv4:10.0.0.1:6");
  EXPECT_TRUE(callers.Has(kPeer));
  callers.Remove(kPeer, 1);
  EXPECT_EQ(callers.Find(kPeer), kPeer);
  EXPECT_FALSE(callers.Has(kPeer));
  callers.Remove(kPeer, 1);
}

TEST(CallerAddresses, OfTwoConnectionsOneStandsForNeither) {
  CallerAddresses callers;
  callers.Add(kPeer, 1, kCaller);
  callers.Add(kPeer, 2, kOther);
  EXPECT_EQ(callers.Find(kPeer), kPeer);
  callers.Remove(kPeer, 1);
  EXPECT_EQ(callers.Find(kPeer), kOther);
  callers.Add(kPeer, 3, kOther);
  EXPECT_EQ(callers.Find(kPeer), kOther);
  callers.Remove(kPeer, 1);  // Was another's.
  EXPECT_EQ(callers.Find(kPeer), kOther);
}

TEST(CallerAddresses, ManyThreadsMayAsk) {
  CallerAddresses callers;
  std::thread asks([&callers] {
    for (int i = 0; i < 1000; ++i) {
      const std::string found = callers.Find(kPeer);
      EXPECT_TRUE(found == kPeer || found == kCaller) << found;
    }
  });
  for (uint64_t i = 0; i < 1000; ++i) {
    callers.Add(kPeer, i, kCaller);
    callers.Remove(kPeer, i);
  }
  asks.join();
}

}  // namespace
}  // namespace leasehold
