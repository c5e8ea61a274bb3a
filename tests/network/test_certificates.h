// TestCertificates: certificates and keys for tests, made on the spot, in
// files.
#ifndef LEASEHOLD_TESTS_NETWORK_TEST_CERTIFICATES_H_
#define LEASEHOLD_TESTS_NETWORK_TEST_CERTIFICATES_H_

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace leasehold {

// One certificate with its key. Ends the test program if OpenSSL fails.
class TestCertificate {
 public:
  struct Options {
    absl::Time from;
    absl::Time to;
    bool is_ca = false;
    std::string host = "localhost";
  };

  // Issued by `issuer`; by itself if there is none.
  TestCertificate(const std::string& name, const Options& options,
                  const TestCertificate* issuer = nullptr);

  std::string certificate_pem() const;
  // With a passphrase if it is not empty.
  std::string key_pem(const std::string& passphrase = "") const;

 private:
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> certificate_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_NETWORK_TEST_CERTIFICATES_H_
