// TestJwtKey: a key that signs JSON Web Tokens in tests, made on the spot by
// OpenSSL: tokens are not made by what checks them.
//
// Thread-safety: safe.   Lifetime: values; copies share the key.
#ifndef LEASEHOLD_TESTS_SECURITY_TEST_JWT_H_
#define LEASEHOLD_TESTS_SECURITY_TEST_JWT_H_

#include <openssl/evp.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace leasehold {

// Unpadded base64url.
std::string ToBase64Url(std::string_view bytes);

// HMAC-SHA-256, as HS256 has it.
std::string TestHmac(std::string_view key, std::string_view text);

class TestJwtKey {
 public:
  // Each ends the test program if OpenSSL fails.
  static TestJwtKey Rsa(int bits = 2048);
  // `curve`: P-256, P-384 or P-521.
  static TestJwtKey Ec(const std::string& curve);

  // The public key as a JWK.
  nlohmann::json Jwk(const std::string& kid) const;
  // The public key in PEM.
  std::string Pem() const;
  // Signs by `algorithm`, such as PS384.
  std::string Sign(std::string_view text, const std::string& algorithm) const;
  // A token with that header and those claims, signed by `algorithm`.
  std::string Token(const nlohmann::json& header, const nlohmann::json& claims,
                    const std::string& algorithm) const;
  // The same, of texts that need not be JSON.
  std::string TokenOf(const std::string& header, const std::string& claims,
                      const std::string& algorithm) const;

 private:
  explicit TestJwtKey(EVP_PKEY* key) : key_(key, &EVP_PKEY_free) {}

  std::shared_ptr<EVP_PKEY> key_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SECURITY_TEST_JWT_H_
