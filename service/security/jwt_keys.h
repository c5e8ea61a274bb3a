// JwtKeys: the public keys of a JWK Set (RFC 7517), and what each of them may
// verify.
//
// Thread-safety: safe once read.   Lifetime: values that own their keys.
#ifndef LEASEHOLD_SERVICE_SECURITY_JWT_KEYS_H_
#define LEASEHOLD_SERVICE_SECURITY_JWT_KEYS_H_

#include <cjose/jwk.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace leasehold {

// One asymmetric signature algorithm (RFC 7518, 3.1).
struct JwtAlgorithm {
  std::string_view name;
  std::string_view key_type;  // The `kty` of its keys.
  std::string_view curve;     // Their `crv`; empty for RSA.
  size_t signature_bytes;     // 0: as many as the key's modulus.
};

// Null: there is no such algorithm, or it is not asymmetric.
const JwtAlgorithm* FindJwtAlgorithm(std::string_view name);
// All of them, for messages.
std::string JwtAlgorithmNames();

struct JwtKey {
  struct Release {
    void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
  };

  std::unique_ptr<cjose_jwk_t, Release> key;
  std::vector<const JwtAlgorithm*> algorithms;
  size_t modulus_bytes = 0;  // 0: not RSA.
};

// By `kid`. A key without one is alone in its set, under the empty name.
using JwtKeys = std::map<std::string, JwtKey, std::less<>>;

// The keys of the set `jwks` that may verify one of `algorithms`. Never empty.
//   InvalidArgument: see JwtVerifier::Make.
absl::StatusOr<JwtKeys> ReadJwtKeys(
    const std::string& jwks,
    const std::vector<const JwtAlgorithm*>& algorithms);

// The bytes of unpadded base64url, in its only form: no two texts have the same
// bytes. False: `text` is something else.
bool DecodeBase64Url(std::string_view text, std::string& bytes);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_JWT_KEYS_H_
