#include "service/host/http_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace leasehold {
namespace {

using testing::StartsWith;

absl::Status Read(HttpOptions& options, const std::string& name,
                  const std::string& text) {
  for (const Setting& setting : HttpSettings(options)) {
    if (setting.name == name) return setting.read(text);
  }
  return absl::NotFoundError(name);
}

TEST(HttpOptions, BeyondThisMachineNeedsTlsOrInsecure) {
  HttpOptions options;
  ASSERT_TRUE(Read(options, "http-listen", "127.0.0.1:1,0.0.0.0:2").ok());
  EXPECT_THAT(std::string(CheckHttp(options, false, false).message()),
              StartsWith("--http-listen=0.0.0.0:2: not a loopback address"));
  EXPECT_TRUE(CheckHttp(options, /*insecure=*/true, false).ok());
  EXPECT_TRUE(CheckHttp(options, false, /*uses_tls=*/true).ok());
}

TEST(HttpOptions, TheLastListCounts) {
  HttpOptions options;
  ASSERT_TRUE(Read(options, "http-listen", "off").ok());
  EXPECT_TRUE(options.off);
  ASSERT_TRUE(Read(options, "http-listen", "[::1]:1,unix:/tmp/s").ok());
  EXPECT_FALSE(options.off);
  EXPECT_EQ(options.listen.size(), 2U);
}

TEST(HttpOptions, APublicUrlHasNoSlashAtItsEnd) {
  HttpOptions options;
  ASSERT_TRUE(Read(options, "http-public-url", "https://a.example/b//").ok());
  EXPECT_EQ(options.public_url, "https://a.example/b");
  for (const char* bad : {"a.example", "https://", "https:///a", "ftp://a",
                          "https://a?b", "https://u@a", "https://a b"}) {
    EXPECT_FALSE(Read(options, "http-public-url", bad).ok()) << bad;
  }
}

TEST(HttpOptions, ProxiesAreRangesOfAddresses) {
  HttpOptions options;
  ASSERT_TRUE(
      Read(options, "http-proxy-protocol", "10.0.0.0/8,192.168.1.7").ok());
  EXPECT_EQ(options.proxies.size(), 2U);
  ASSERT_TRUE(Read(options, "http-proxy-protocol", "").ok());
  EXPECT_TRUE(options.proxies.empty());
  EXPECT_FALSE(Read(options, "http-proxy-protocol", "10.0.0.1/8").ok());
}

TEST(HttpOptions, UrlsAreGoodForAWhileAboveZero) {
  HttpOptions options;
  EXPECT_EQ(options.url_lifetime, absl::Hours(7 * 24));
  ASSERT_TRUE(Read(options, "url-lifetime", "1h").ok());
  EXPECT_EQ(options.url_lifetime, absl::Hours(1));
  EXPECT_FALSE(Read(options, "url-lifetime", "0s").ok());
}

}  // namespace
}  // namespace leasehold
