#include "service/security/secret.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>

#include "service/base/invariant.h"

namespace leasehold {

std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()),
                 static_cast<int>(count)) != 1) {
    BreakInvariant("the system has random bytes");
  }
  return bytes;
}

SecretHash HashOf(std::string_view secret) {
  // Looked up once: that costs more than the hash of a token.
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  SecretHash hash;
  if (EVP_DigestInit_ex2(context.get(), kSha256, nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), secret.data(), secret.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), hash.data(), nullptr) != 1) {
    BreakInvariant("a secret can be hashed");
  }
  return hash;
}

}  // namespace leasehold
