// The settings for TLS, which only make sense together, and for proxies.
#include <arpa/inet.h>

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/host/server_options.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

auto Parse(std::vector<const char*> flags) {
  flags.insert(flags.begin(), "leasehold-server");
  return ParseServerOptions(static_cast<int>(flags.size()), flags.data());
}

ServerOptions ParseGood(std::vector<const char*> flags) {
  const auto parsed = Parse(std::move(flags));
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? std::get<ServerOptions>(*parsed) : ServerOptions();
}

std::string ParseBad(std::vector<const char*> flags) {
  return std::string(Parse(std::move(flags)).status().message());
}

TEST(TlsOptions, NothingIsEncryptedByDefault) {
  EXPECT_FALSE(ParseGood({}).uses_tls());
}

TEST(TlsOptions, AreRead) {
  const ServerOptions pair = ParseGood({"--tls-cert=c", "--tls-key=k"});
  EXPECT_TRUE(pair.uses_tls());
  EXPECT_EQ(pair.tls.chain, "c");
  EXPECT_EQ(pair.tls.key, "k");
  EXPECT_EQ(pair.tls.client_ca, "");
  const ServerOptions mutual =
      ParseGood({"--tls-cert=c", "--tls-key=k", "--tls-client-ca=a"});
  EXPECT_EQ(mutual.tls.client_ca, "a");
  EXPECT_EQ(mutual.client_auth, ClientAuth::kRequire);
  EXPECT_EQ(ParseGood({"--tls-cert=c", "--tls-key=k", "--tls-client-ca=a",
                       "--tls-client-auth=optional"})
                .client_auth,
            ClientAuth::kOptional);
}

TEST(TlsOptions, GoTogether) {
  EXPECT_THAT(ParseBad({"--tls-cert=c"}), StartsWith("--tls-cert is given"));
  EXPECT_THAT(ParseBad({"--tls-key=k"}), StartsWith("--tls-key is given"));
  EXPECT_THAT(ParseBad({"--tls-client-ca=a"}),
              StartsWith("--tls-client-ca is given without --tls-cert"));
  EXPECT_THAT(
      ParseBad({"--tls-cert=c", "--tls-key=k", "--tls-client-auth=optional"}),
      HasSubstr("without --tls-client-ca"));
  EXPECT_THAT(ParseBad({"--tls-client-auth=maybe"}),
              HasSubstr("must be require or optional"));
  EXPECT_THAT(ParseBad({"--tls-cert=--tls-key=k"}),
              HasSubstr("must not begin with a dash"));
}

bool Trusts(const ServerOptions& options, const char* address) {
  sockaddr_storage asked = {};
  auto& v4 = reinterpret_cast<sockaddr_in&>(asked);
  v4.sin_family = AF_INET;
  EXPECT_EQ(inet_pton(AF_INET, address, &v4.sin_addr), 1);
  return std::any_of(
      options.proxies.begin(), options.proxies.end(),
      [&asked](const AddressRange& range) { return range.Contains(asked); });
}

TEST(ProxyOptions, NameThoseWhoMaySpeakForOthers) {
  EXPECT_TRUE(ParseGood({}).proxies.empty());
  const ServerOptions options =
      ParseGood({"--proxy-protocol=10.0.0.0/8,192.168.1.7,::1"});
  EXPECT_EQ(options.proxies.size(), 3u);
  EXPECT_TRUE(Trusts(options, "10.1.2.3"));
  EXPECT_TRUE(Trusts(options, "192.168.1.7"));
  EXPECT_FALSE(Trusts(options, "192.168.1.8"));
  // The last one counts, as of every other setting.
  const ServerOptions last =
      ParseGood({"--proxy-protocol=10.0.0.0/8", "--proxy-protocol=::1"});
  EXPECT_FALSE(Trusts(last, "10.1.2.3"));
}

TEST(ProxyOptions, WrongOnesAreNamed) {
  EXPECT_EQ(ParseBad({"--proxy-protocol=10.0.0.0/8,proxy-1"}),
            "--proxy-protocol: \"proxy-1\" does not begin with an IP address; "
            "use an address such as 10.0.0.7, or ADDRESS/PREFIX such as "
            "10.0.0.0/8");
  EXPECT_THAT(ParseBad({"--proxy-protocol=10.0.0.1/8"}),
              HasSubstr("bits set behind its prefix"));
  EXPECT_THAT(ParseBad({"--proxy-protocol=10.0.0.0/8,"}),
              HasSubstr("does not begin with an IP address"));
}

}  // namespace
}  // namespace leasehold
