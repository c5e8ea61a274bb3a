// JwtVerifier: whether a JSON Web Token was issued by whom we trust, for us,
// and is valid now.
//
// The keys come from a set of public keys (JWKS) of the operator's, and from
// nowhere else: a key in a token, and an address of one (`jwk`, `jku`, `x5c`,
// `x5u`), is not looked at. The token's `kid` is a name in that set. The
// algorithm must be one of the rules, and one of that key: a token cannot
// choose to be checked by less. Signatures are asymmetric (RFC 7518: RS, PS and
// ES): who can check a token cannot make one. cjose does that part.
//
// A refusal is Unauthenticated and says which rule was broken; it never quotes
// the token.
//
// Thread-safety: safe.   Lifetime: values; copies share the keys.
#ifndef LEASEHOLD_SERVICE_SECURITY_JWT_VERIFIER_H_
#define LEASEHOLD_SERVICE_SECURITY_JWT_VERIFIER_H_

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace leasehold {

struct JwtRules {
  std::string issuer;    // What `iss` must be.
  std::string audience;  // What `aud` must be, or have among others.
  std::string jwks;      // The text of a JWK Set (RFC 7517).
  std::vector<std::string> algorithms;  // RS256 and so on.
  // By how much the issuer's clock may differ from ours.
  absl::Duration leeway = absl::Seconds(30);
};

// What a token says that was verified.
class JwtClaims {
 public:
  JwtClaims(nlohmann::json claims, absl::Time expires)
      : claims_(std::move(claims)), expires_(expires) {}

  // `name`: a claim, such as `tenant`; if it begins with a slash, a JSON
  // pointer (RFC 6901) into the claims, such as `/realm_access/roles`.

  // A text. nullopt: there is no such claim, or it is something else.
  std::optional<std::string> Text(std::string_view name) const;
  // A list of texts; one text is a list of one. nullopt: there is no such
  // claim, or it is something else.
  std::optional<std::vector<std::string>> Texts(std::string_view name) const;

  // Whom the token is about; empty if it does not say.
  std::string subject() const { return Text("sub").value_or(""); }
  // From when on the token is refused, without the leeway.
  absl::Time expires() const { return expires_; }

 private:
  const nlohmann::json* Find(std::string_view name) const;

  nlohmann::json claims_;
  absl::Time expires_;
};

class JwtVerifier {
 public:
  // Longer tokens are not looked at.
  static constexpr size_t kTokenBytesMax = 8 << 10;

  // Keys of the set that cannot verify signatures by these algorithms are left
  // out, such as those for encryption.
  //   InvalidArgument: a rule is missing, an algorithm is not asymmetric or not
  //     known, the set is not valid or has no key to verify with, or a key is
  //     secret, private, weak, damaged or has the `kid` of another. The message
  //     names it.
  static absl::StatusOr<JwtVerifier> Make(JwtRules rules);

  //   Unauthenticated: the token is refused; the message says why.
  absl::StatusOr<JwtClaims> Verify(std::string_view token,
                                   absl::Time now) const;

 private:
  struct Trusted;  // Rules and keys.

  explicit JwtVerifier(std::shared_ptr<const Trusted> trusted)
      : trusted_(std::move(trusted)) {}

  absl::Status CheckSignature(std::string_view token) const;
  absl::StatusOr<JwtClaims> CheckClaims(nlohmann::json claims,
                                        absl::Time now) const;

  std::shared_ptr<const Trusted> trusted_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_JWT_VERIFIER_H_
