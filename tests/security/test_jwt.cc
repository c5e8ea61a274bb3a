#include "tests/security/test_jwt.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

void Must(bool done) {
  if (done) return;
  std::fputs("TestJwtKey: OpenSSL failed\n", stderr);
  std::abort();
}

// A number of the key, of at least `bytes`.
std::string NumberOf(const EVP_PKEY* key, const char* name, int bytes) {
  BIGNUM* number = nullptr;
  Must(EVP_PKEY_get_bn_param(key, name, &number) == 1);
  if (bytes == 0) bytes = BN_num_bytes(number);
  std::string text(static_cast<size_t>(bytes), '\0');
  Must(BN_bn2binpad(number, reinterpret_cast<unsigned char*>(text.data()),
                    bytes) == bytes);
  BN_free(number);
  return text;
}

int CoordinateBytes(const EVP_PKEY* key) {
  return (EVP_PKEY_get_bits(key) + 7) / 8;
}

// The two numbers of an ECDSA signature one after the other (RFC 7518, 3.4).
std::string JoinNumbers(const std::string& der, int bytes) {
  const auto* data = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* numbers =
      d2i_ECDSA_SIG(nullptr, &data, static_cast<long>(der.size()));  // NOLINT
  Must(numbers != nullptr);
  std::string joined(2 * static_cast<size_t>(bytes), '\0');
  auto* to = reinterpret_cast<unsigned char*>(joined.data());
  Must(BN_bn2binpad(ECDSA_SIG_get0_r(numbers), to, bytes) == bytes &&
       BN_bn2binpad(ECDSA_SIG_get0_s(numbers), to + bytes, bytes) == bytes);
  ECDSA_SIG_free(numbers);
  return joined;
}

}  // namespace

std::string ToBase64Url(std::string_view bytes) {
  return absl::WebSafeBase64Escape(View(bytes));
}

std::string TestHmac(std::string_view key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  Must(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
            reinterpret_cast<const unsigned char*>(text.data()), text.size(),
            digest, &size) != nullptr);
  return {reinterpret_cast<const char*>(digest), size};
}

TestJwtKey TestJwtKey::Rsa(int bits) {
  EVP_PKEY* key = EVP_RSA_gen(static_cast<unsigned>(bits));
  Must(key != nullptr);
  return TestJwtKey(key);
}

TestJwtKey TestJwtKey::Ec(const std::string& curve) {
  EVP_PKEY* key = EVP_EC_gen(curve.c_str());
  Must(key != nullptr);
  return TestJwtKey(key);
}

nlohmann::json TestJwtKey::Jwk(const std::string& kid) const {
  const EVP_PKEY* key = key_.get();
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    return {{"kty", "RSA"},
            {"kid", kid},
            {"n", ToBase64Url(NumberOf(key, OSSL_PKEY_PARAM_RSA_N, 0))},
            {"e", ToBase64Url(NumberOf(key, OSSL_PKEY_PARAM_RSA_E, 0))}};
  }
  const int bytes = CoordinateBytes(key);
  return {{"kty", "EC"},
          {"kid", kid},
          {"crv", "P-" + std::to_string(EVP_PKEY_get_bits(key))},
          {"x", ToBase64Url(NumberOf(key, OSSL_PKEY_PARAM_EC_PUB_X, bytes))},
          {"y", ToBase64Url(NumberOf(key, OSSL_PKEY_PARAM_EC_PUB_Y, bytes))}};
}

std::string TestJwtKey::Pem() const {
  BIO* bio = BIO_new(BIO_s_mem());
  Must(PEM_write_bio_PUBKEY(bio, key_.get()) == 1);
  char* data = nullptr;
  const auto size = static_cast<size_t>(BIO_get_mem_data(bio, &data));
  std::string text(data, size);
  BIO_free(bio);
  return text;
}

std::string TestJwtKey::Sign(std::string_view text,
                             const std::string& algorithm) const {
  const std::string digest = "SHA" + algorithm.substr(2);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* how = nullptr;  // Belongs to `context`.
  Must(EVP_DigestSignInit_ex(context, &how, digest.c_str(), nullptr, nullptr,
                             key_.get(), nullptr) == 1);
  if (algorithm.starts_with("PS")) {
    Must(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) == 1);
  }
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  size_t size = 0;
  Must(EVP_DigestSign(context, nullptr, &size, data, text.size()) == 1);
  std::string signature(size, '\0');
  Must(EVP_DigestSign(context,
                      reinterpret_cast<unsigned char*>(signature.data()), &size,
                      data, text.size()) == 1);
  signature.resize(size);
  EVP_MD_CTX_free(context);
  return algorithm.starts_with("ES")
             ? JoinNumbers(signature, CoordinateBytes(key_.get()))
             : signature;
}

std::string TestJwtKey::Token(const nlohmann::json& header,
                              const nlohmann::json& claims,
                              const std::string& algorithm) const {
  return TokenOf(header.dump(), claims.dump(), algorithm);
}

std::string TestJwtKey::TokenOf(const std::string& header,
                                const std::string& claims,
                                const std::string& algorithm) const {
  const std::string text = ToBase64Url(header) + "." + ToBase64Url(claims);
  return text + "." + ToBase64Url(Sign(text, algorithm));
}

}  // namespace leasehold
