#include "service/http/host_list.h"

#include <gtest/gtest.h>

namespace leasehold {
namespace {

TEST(HostList, OwnNamesAreAllowedInAnyFormAndWithAnyPort) {
  const HostList hosts({"lease.example", "10.1.2.3", "2001:db8::1"}, false);
  for (const char* host :
       {"lease.example", "LEASE.example:4002", "lease.example.", "10.1.2.3:1",
        "[2001:DB8:0::1]:4002", "localhost", "localhost:1", "127.0.0.1",
        "127.9.9.9:4002", "[::1]:4002", "lease.example:"}) {
    EXPECT_TRUE(hosts.Allows(host)) << host;
  }
}

TEST(HostList, OthersAndWhatOnlyLooksLikeANameAreNot) {
  const HostList hosts({"lease.example", "10.1.2.3"}, false);
  for (const char* host : {"",
                           ":4002",
                           "evil.example",
                           "lease.example.evil",
                           "xlease.example",
                           "10.1.2.4",
                           "localhost.evil",
                           "127.0.0.1.evil",
                           "127.1",
                           "0x7f000001",
                           "[::2]",
                           "[::1",
                           "::1",
                           "[::1]x",
                           "[127.0.0.1]",
                           "localhost:99999",
                           "localhost:1:2",
                           "localhost:a",
                           "lease.example@evil",
                           "a/lease.example",
                           "lease.example,evil",
                           " localhost",
                           "localhost\t",
                           "\xC3\xA4"}) {
    EXPECT_FALSE(hosts.Allows(host)) << host;
  }
}

TEST(HostList, OnAllAddressesEachAddressIsOursAndNoOtherName) {
  const HostList hosts({"0.0.0.0"}, true);
  EXPECT_TRUE(hosts.Allows("192.168.1.7:4002"));
  EXPECT_TRUE(hosts.Allows("[fe80::1]"));
  EXPECT_FALSE(hosts.Allows("evil.example"));
}

}  // namespace
}  // namespace leasehold
