#include "service/network/address_range.h"

#include <arpa/inet.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

sockaddr_storage AddressOf(const std::string& text) {
  sockaddr_storage address = {};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
  } else if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
  } else {
    address.ss_family = AF_UNIX;
  }
  return address;
}

bool Contains(const std::string& range, const std::string& address) {
  return AddressRange::Parse(range).value().Contains(AddressOf(address));
}

TEST(AddressRange, HasTheAddressesThatBeginAlike) {
  EXPECT_TRUE(Contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(Contains("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(Contains("10.1.2.128/25", "10.1.2.255"));
  EXPECT_FALSE(Contains("10.1.2.128/25", "10.1.2.127"));
  EXPECT_TRUE(Contains("10.1.2.3", "10.1.2.3"));
  EXPECT_FALSE(Contains("10.1.2.3", "10.1.2.4"));
  EXPECT_TRUE(Contains("0.0.0.0/0", "1.2.3.4"));
  EXPECT_FALSE(Contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(Contains("2001:db8::/32", "2001:db8:ffff::1"));
  EXPECT_FALSE(Contains("2001:db8::/33", "2001:db8:ffff::1"));
  EXPECT_TRUE(Contains("::1", "::1"));
  EXPECT_FALSE(Contains("::1", "::2"));
  EXPECT_TRUE(Contains("::/0", "::1"));
  EXPECT_FALSE(Contains("::/0", "a Unix socket"));
  EXPECT_FALSE(Contains("0.0.0.0/0", "a Unix socket"));
}

TEST(AddressRange, Ipv4MayComeAsIpv6) {
  EXPECT_TRUE(Contains("10.0.0.0/8", "::ffff:10.1.1.1"));
  EXPECT_TRUE(Contains("::ffff:10.0.0.0/104", "10.1.1.1"));
  EXPECT_FALSE(Contains("10.0.0.0/8", "::10.1.1.1"));
}

TEST(AddressRange, OtherTextsAreRefused) {
  for (const auto& [text, why] :
       {std::pair("", "does not begin with an IP address"),
        {"/8", "does not begin with an IP address"},
        {"10.0.0/8", "does not begin with an IP address"},
        {"localhost", "does not begin with an IP address"},
        {"10.0.0.1:80", "does not begin with an IP address"},
        {"[::1]", "does not begin with an IP address"},
        {" 10.0.0.1", "does not begin with an IP address"},
        {"10.0.0.0/", "has a prefix that is not a number from 0 to 32"},
        {"10.0.0.0/33", "has a prefix that is not a number from 0 to 32"},
        {"10.0.0.0/-1", "has a prefix that is not a number from 0 to 32"},
        {"10.0.0.0/+8", "has a prefix that is not a number from 0 to 32"},
        {"10.0.0.0/8/8", "has a prefix that is not a number from 0 to 32"},
        {"::/129", "has a prefix that is not a number from 0 to 128"},
        {"10.1.0.0/8", "has bits set behind its prefix"},
        {"2001:db8::1/64", "has bits set behind its prefix"}}) {
    const auto range = AddressRange::Parse(text);
    ASSERT_FALSE(range.ok()) << text;
    EXPECT_EQ(range.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(range.status().message()), HasSubstr(why)) << text;
  }
}

}  // namespace
}  // namespace leasehold
