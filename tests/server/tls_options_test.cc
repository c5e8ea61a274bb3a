// The settings for TLS, which only make sense together.
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

}  // namespace
}  // namespace leasehold
