#include "service/security/jwt_verifier.h"

#include <cjose/header.h>
#include <cjose/jws.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/json.h"
#include "lease/base/json_members.h"
#include "lease/base/quote.h"
#include "service/security/jwt_keys.h"

namespace leasehold {
namespace {

using Json = nlohmann::json;

absl::Status Refused(absl::string_view why) {
  return absl::UnauthenticatedError(absl::StrCat("the token ", why));
}

absl::Status BadRule(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("jwt: ", why));
}

struct Parts {
  std::string_view header;
  std::string_view claims;
  std::string_view signature;
};

std::optional<Parts> Split(std::string_view token) {
  const size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos ||
      token.find('.', second + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  return Parts{.header = token.substr(0, first),
               .claims = token.substr(first + 1, second - first - 1),
               .signature = token.substr(second + 1)};
}

// The JSON object of a token's part.
std::optional<Json> ReadPart(std::string_view part) {
  std::string text;
  if (!DecodeBase64Url(part, text)) return std::nullopt;
  // Two programs may each believe another one of them (RFC 7519, 4).
  if (FindDuplicateMember(text).has_value()) return std::nullopt;
  try {
    Json object = ParseJson(text);
    if (object.is_object()) return object;
  } catch (const std::exception&) {
    // It is not JSON, too deep, or has a number that nobody can read.
  }
  return std::nullopt;
}

// A time as RFC 7519 has it: seconds since 1970, perhaps with a fraction.
// nullopt: `claims` has something else there.
std::optional<absl::Time> TimeOf(const Json& claims, const char* name,
                                 absl::Time if_missing) {
  const auto found = claims.find(name);
  if (found == claims.end()) return if_missing;
  if (!found->is_number()) return std::nullopt;
  return absl::UnixEpoch() + absl::Seconds(found->get<double>());
}

bool IsFor(const Json& claims, const std::string& audience) {
  const auto found = claims.find("aud");
  if (found == claims.end()) return false;
  return *found == audience ||
         (found->is_array() &&
          std::find(found->begin(), found->end(), audience) != found->end());
}

struct ReleaseJws {
  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};

// Whether `key` signed `token` by `algorithm`.
bool IsSigned(std::string_view token, const JwtKey& key,
              const JwtAlgorithm& algorithm) {
  const std::unique_ptr<cjose_jws_t, ReleaseJws> jws(
      cjose_jws_import(token.data(), token.size(), nullptr));
  bool is_signed = false;
  if (jws != nullptr) {
    // cjose reads the header by itself: it must have read what we have.
    const char* read = cjose_header_get(cjose_jws_get_protected(jws.get()),
                                        CJOSE_HDR_ALG, nullptr);
    is_signed = read != nullptr && read == algorithm.name &&
                cjose_jws_verify(jws.get(), key.key.get(), nullptr);
  }
  ERR_clear_error();
  return is_signed;
}

}  // namespace

// ---- Claims -----------------------------------------------------------------

const Json* JwtClaims::Find(std::string_view name) const {
  if (!name.starts_with('/')) {
    const auto found = claims_.find(std::string(name));
    return found == claims_.end() ? nullptr : &*found;
  }
  try {
    const Json::json_pointer pointer{std::string(name)};
    return claims_.contains(pointer) ? &claims_.at(pointer) : nullptr;
  } catch (const Json::exception&) {
    return nullptr;  // It is not a pointer.
  }
}

std::optional<std::string> JwtClaims::Text(std::string_view name) const {
  const Json* found = Find(name);
  if (found == nullptr || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<std::vector<std::string>> JwtClaims::Texts(
    std::string_view name) const {
  const Json* found = Find(name);
  if (found == nullptr) return std::nullopt;
  if (found->is_string()) return std::vector{found->get<std::string>()};
  const auto is_text = [](const Json& each) { return each.is_string(); };
  if (!found->is_array() ||
      !std::all_of(found->begin(), found->end(), is_text)) {
    return std::nullopt;
  }
  return found->get<std::vector<std::string>>();
}

// ---- Verifying --------------------------------------------------------------

struct JwtVerifier::Trusted {
  std::string issuer;
  std::string audience;
  absl::Duration leeway;
  JwtKeys keys;
};

absl::StatusOr<JwtVerifier> JwtVerifier::Make(JwtRules rules) {
  if (rules.issuer.empty()) {
    return BadRule("there is no issuer; it is what tokens have in \"iss\"");
  }
  if (rules.audience.empty()) {
    return BadRule(
        "there is no audience; it is what tokens for this server have in "
        "\"aud\"");
  }
  if (rules.leeway < absl::ZeroDuration() ||
      rules.leeway == absl::InfiniteDuration()) {
    return BadRule("the leeway is below zero or infinite");
  }
  if (rules.algorithms.empty()) {
    return BadRule(absl::StrCat("no algorithm is allowed; name some of ",
                                JwtAlgorithmNames()));
  }
  std::vector<const JwtAlgorithm*> algorithms;
  for (const std::string& name : rules.algorithms) {
    algorithms.push_back(FindJwtAlgorithm(name));
    if (algorithms.back() != nullptr) continue;
    return BadRule(absl::StrCat("the algorithm ", QuoteForMessage(name),
                                " is not one of ", JwtAlgorithmNames()));
  }
  absl::StatusOr<JwtKeys> keys = ReadJwtKeys(rules.jwks, algorithms);
  if (!keys.ok()) return BadRule(keys.status().message());
  return JwtVerifier(std::make_shared<const Trusted>(
      Trusted{.issuer = std::move(rules.issuer),
              .audience = std::move(rules.audience),
              .leeway = rules.leeway,
              .keys = *std::move(keys)}));
}

absl::StatusOr<JwtClaims> JwtVerifier::Verify(std::string_view token,
                                              absl::Time now) const {
  if (token.size() > kTokenBytesMax) {
    return Refused(absl::StrCat("is larger than ", kTokenBytesMax, " bytes"));
  }
  if (absl::Status status = CheckSignature(token); !status.ok()) return status;
  std::optional<Json> claims = ReadPart(Split(token)->claims);
  if (!claims.has_value()) return Refused("has claims that cannot be read");
  return CheckClaims(*std::move(claims), now);
}

absl::Status JwtVerifier::CheckSignature(std::string_view token) const {
  const std::optional<Parts> parts = Split(token);
  const std::optional<Json> header =
      parts.has_value() ? ReadPart(parts->header) : std::nullopt;
  if (!header.has_value()) {
    return Refused("is not a signed JSON Web Token (HEADER.CLAIMS.SIGNATURE)");
  }
  if (header->contains("crit")) {
    return Refused("asks for an extension (\"crit\") that is not known here");
  }
  const auto alg = header->find("alg");
  if (alg == header->end() || !alg->is_string()) {
    return Refused("names no algorithm");
  }

  // Without a name, the only key is meant.
  const auto kid = header->find("kid");
  const JwtKeys& keys = trusted_->keys;
  auto key = keys.end();
  if (kid == header->end()) {
    if (keys.size() == 1) key = keys.begin();
  } else if (kid->is_string() && !kid->get_ref<const std::string&>().empty()) {
    key = keys.find(kid->get_ref<const std::string&>());
  }
  if (key == keys.end()) return Refused("names no key that is trusted here");

  const std::vector<const JwtAlgorithm*>& algorithms = key->second.algorithms;
  const auto algorithm = std::find_if(
      algorithms.begin(), algorithms.end(), [&alg](const JwtAlgorithm* each) {
        return each->name == alg->get_ref<const std::string&>();
      });
  if (algorithm == algorithms.end()) {
    return Refused("names an algorithm that is not allowed for its key");
  }
  // cjose ends the process at a part that is not base64url, so all three are
  // checked before it.
  std::string claims;
  std::string signature;
  const size_t bytes = (*algorithm)->signature_bytes > 0
                           ? (*algorithm)->signature_bytes
                           : key->second.modulus_bytes;
  if (!DecodeBase64Url(parts->claims, claims) ||
      !DecodeBase64Url(parts->signature, signature) ||
      signature.size() != bytes || !IsSigned(token, key->second, **algorithm)) {
    return Refused("has a signature that is not valid");
  }
  return absl::OkStatus();
}

absl::StatusOr<JwtClaims> JwtVerifier::CheckClaims(Json claims,
                                                   absl::Time now) const {
  const Trusted& trusted = *trusted_;
  const auto issuer = claims.find("iss");
  if (issuer == claims.end() || *issuer != trusted.issuer) {
    return Refused("is of another issuer");
  }
  if (!IsFor(claims, trusted.audience)) {
    return Refused("is for another audience");
  }
  if (!claims.contains("exp")) return Refused("has no expiry (\"exp\")");
  const auto expires = TimeOf(claims, "exp", absl::InfinitePast());
  const auto from = TimeOf(claims, "nbf", absl::InfinitePast());
  if (!expires.has_value() || !from.has_value()) {
    return Refused("has an \"exp\" or \"nbf\" that is not a time");
  }
  if (now >= *expires + trusted.leeway) return Refused("has expired");
  if (now + trusted.leeway < *from) return Refused("is not valid yet");
  return JwtClaims(std::move(claims), *expires);
}

}  // namespace leasehold
