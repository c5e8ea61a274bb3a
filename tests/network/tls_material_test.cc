#include "service/network/tls_material.h"

#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/network/test_certificates.h"

namespace leasehold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TlsMaterialTest : public ::testing::Test {
 protected:
  // A file of this test's own.
  static std::string Write(const std::string& name, const std::string& text) {
    const std::string path =
        ::testing::TempDir() +
        ::testing::UnitTest::GetInstance()->current_test_info()->name() + "-" +
        name;
    std::ofstream(path) << text;
    return path;
  }

  std::string WhyNot(const TlsFiles& files) const {
    const auto read = ReadTlsMaterial(files, now_);
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(read.status().message());
  }

  const absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  const TestCertificate::Options year_ = {.from = now_ - absl::Hours(1),
                                          .to = now_ + absl::Hours(8760)};
  const TestCertificate ca_{
      "ca",
      {.from = year_.from, .to = year_.to + absl::Hours(1), .is_ca = true}};
  const TestCertificate server_{"server", year_, &ca_};
  const std::string chain_ = Write("chain.pem", server_.certificate_pem());
  const std::string key_ = Write("key.pem", server_.key_pem());
};

TEST_F(TlsMaterialTest, IsWhatTheFilesHold) {
  const std::string ca = Write("ca.pem", ca_.certificate_pem());
  const auto read = ReadTlsMaterial({chain_, key_, ca}, now_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->chain, server_.certificate_pem());
  EXPECT_EQ(read->key, server_.key_pem());
  EXPECT_EQ(read->client_ca, ca_.certificate_pem());
  EXPECT_EQ(read->expires, year_.to);
}

TEST_F(TlsMaterialTest,
       AChainHasEachOnesIssuerNextAndExpiresWithTheFirstOfThem) {
  const TestCertificate between(
      "between",
      {.from = year_.from, .to = now_ + absl::Hours(5), .is_ca = true}, &ca_);
  const TestCertificate end("end", year_, &between);
  const std::string key = Write("end.pem", end.key_pem());
  const auto read = ReadTlsMaterial(
      {Write("good.pem", end.certificate_pem() + between.certificate_pem()),
       key},
      now_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->expires, now_ + absl::Hours(5));

  EXPECT_THAT(
      WhyNot({Write("bad.pem", end.certificate_pem() + ca_.certificate_pem()),
              key}),
      AllOf(HasSubstr("bad.pem"),
            HasSubstr("certificate number 2 is not the issuer of number 1")));
}

TEST_F(TlsMaterialTest, AFileThatCannotBeReadIsNamed) {
  EXPECT_THAT(WhyNot({"/no/such/file", key_}), HasSubstr("/no/such/file"));
  EXPECT_THAT(WhyNot({chain_, ::testing::TempDir()}),
              HasSubstr("cannot be read"));
  EXPECT_THAT(WhyNot({chain_, key_, "/no/ca"}), HasSubstr("/no/ca"));
  EXPECT_THAT(WhyNot({chain_, "/dev/zero"}), HasSubstr("larger than 1 MiB"));
}

TEST_F(TlsMaterialTest, AFileThatHoldsSomethingElseIsNamedAndNotQuoted) {
  const std::string secret = Write("secret.pem", "hunter2");
  EXPECT_THAT(WhyNot({secret, key_}),
              AllOf(HasSubstr("secret.pem: holds no certificate"),
                    Not(HasSubstr("hunter2"))));
  EXPECT_THAT(WhyNot({chain_, secret}),
              AllOf(HasSubstr("secret.pem: holds no private key"),
                    Not(HasSubstr("hunter2"))));
  EXPECT_THAT(WhyNot({chain_, key_, key_}), HasSubstr("no certificate"));
  EXPECT_THAT(WhyNot({Write("empty.pem", ""), key_}),
              HasSubstr("holds no certificate"));
  EXPECT_THAT(
      WhyNot(
          {Write("torn.pem", server_.certificate_pem().substr(0, 90)), key_}),
      HasSubstr("torn.pem"));
}

TEST_F(TlsMaterialTest, AKeyOfAnotherCertificateIsRefused) {
  const TestCertificate other("other", year_, &ca_);
  EXPECT_THAT(
      WhyNot({chain_, Write("other.pem", other.key_pem())}),
      AllOf(HasSubstr("other.pem: is not the key of the certificate in"),
            HasSubstr("chain.pem")));
}

TEST_F(TlsMaterialTest, AKeyWithAPassphraseIsRefusedAndNobodyIsAsked) {
  EXPECT_THAT(WhyNot({chain_, Write("locked.pem", server_.key_pem("secret"))}),
              HasSubstr("has a passphrase"));
}

TEST_F(TlsMaterialTest, ACertificateThatIsNotValidNowIsRefused) {
  const TestCertificate early(
      "early", {.from = now_ + absl::Hours(1), .to = year_.to}, &ca_);
  EXPECT_THAT(WhyNot({Write("early.pem", early.certificate_pem()),
                      Write("early-key.pem", early.key_pem())}),
              HasSubstr("is not valid before 2027-01-15T09:00:00Z"));
  const TestCertificate late("late", {.from = year_.from, .to = now_}, &ca_);
  EXPECT_THAT(WhyNot({Write("late.pem", late.certificate_pem()),
                      Write("late-key.pem", late.key_pem())}),
              HasSubstr("expired at 2027-01-15T08:00:00Z"));
}

}  // namespace
}  // namespace leasehold
