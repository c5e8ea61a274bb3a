#include "service/security/jwt_keys.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "lease/base/json.h"
#include "lease/base/json_members.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

using Json = nlohmann::json;

constexpr size_t kRsaBitsMin = 2048;

constexpr std::array<JwtAlgorithm, 9> kAlgorithms = {{
    {"RS256", "RSA", "", 0},
    {"RS384", "RSA", "", 0},
    {"RS512", "RSA", "", 0},
    {"PS256", "RSA", "", 0},
    {"PS384", "RSA", "", 0},
    {"PS512", "RSA", "", 0},
    {"ES256", "EC", "P-256", 64},
    {"ES384", "EC", "P-384", 96},
    {"ES512", "EC", "P-521", 132},
}};

// Parameters that only a private key has (RFC 7518, 6.2.2 and 6.3.2).
constexpr std::array<const char*, 7> kPrivate = {"d",  "p",  "q",  "dp",
                                                 "dq", "qi", "oth"};

// A member that is a text; empty if there is none.
std::string TextOf(const Json& key, const char* member) {
  const auto found = key.find(member);
  return found != key.end() && found->is_string() ? found->get<std::string>()
                                                  : "";
}

// One key of the set, with what messages call it.
struct Candidate {
  const Json& json;
  std::string name;

  absl::Status Bad(absl::string_view why) const {
    return absl::InvalidArgumentError(
        absl::StrCat("the JWK Set: ", name, " ", why));
  }
};

// What may not be in a set of public keys, whatever the key is for.
absl::Status CheckPublic(const Candidate& key) {
  if (!key.json.is_object()) return key.Bad("is not a JSON object");
  const std::string type = TextOf(key.json, "kty");
  if (type.empty()) return key.Bad("has no \"kty\", the type of the key");
  if (type == "oct" || key.json.contains("k")) {
    return key.Bad(
        "is a symmetric key: who can check tokens with it can also make them; "
        "let the issuer sign with RSA or an elliptic curve");
  }
  for (const char* member : kPrivate) {
    if (!key.json.contains(member)) continue;
    return key.Bad(absl::StrCat(
        "has \"", member,
        "\", a part of the private key, which belongs to the issuer alone; "
        "export the public key"));
  }
  const auto kid = key.json.find("kid");
  if (kid != key.json.end() && TextOf(key.json, "kid").empty()) {
    return key.Bad("has a \"kid\" that is not a text, or is empty");
  }
  return absl::OkStatus();
}

// Whether its issuer means it for signatures.
bool IsForSignatures(const Json& key) {
  if (key.contains("use") && TextOf(key, "use") != "sig") return false;
  const auto operations = key.find("key_ops");
  return operations == key.end() ||
         (operations->is_array() &&
          std::find(operations->begin(), operations->end(), "verify") !=
              operations->end());
}

std::vector<const JwtAlgorithm*> AlgorithmsOf(
    const Json& key, const std::vector<const JwtAlgorithm*>& allowed) {
  const bool has_own = key.contains("alg");
  const std::string own = TextOf(key, "alg");
  const std::string type = TextOf(key, "kty");
  const std::string curve = type == "EC" ? TextOf(key, "crv") : "";
  std::vector<const JwtAlgorithm*> fitting;
  for (const JwtAlgorithm* each : allowed) {
    if (each->key_type == type && each->curve == curve &&
        (!has_own || each->name == own)) {
      fitting.push_back(each);
    }
  }
  return fitting;
}

// A number as a JWK has it: big-endian, base64url; without leading zeros.
// Empty: there is no such number.
std::string NumberOf(const Json& key, const char* member) {
  std::string bytes;
  if (!DecodeBase64Url(TextOf(key, member), bytes)) return "";
  return bytes.substr(std::min(bytes.find_first_not_of('\0'), bytes.size()));
}

// Checks an RSA key. Returns how many bytes its modulus has.
absl::StatusOr<size_t> CheckRsa(const Candidate& key) {
  const std::string modulus = NumberOf(key.json, "n");
  const std::string exponent = NumberOf(key.json, "e");
  if (modulus.empty() || exponent.empty()) {
    return key.Bad("has no \"n\" and \"e\" in base64url");
  }
  const size_t bits =
      8 * (modulus.size() - 1) +
      static_cast<size_t>(std::bit_width(static_cast<uint8_t>(modulus[0])));
  if (bits < kRsaBitsMin) {
    return key.Bad(absl::StrCat("is an RSA key of ", bits, " bits; it needs ",
                                kRsaBitsMin, " at least"));
  }
  const bool is_even = (exponent.back() & 1) == 0;
  if (is_even || exponent == "\x01") {
    return key.Bad("has an exponent \"e\" with which signatures prove nothing");
  }
  return modulus.size();
}

// Checks the form of a key of an elliptic curve; cjose checks that its point is
// on the curve.
absl::Status CheckEc(const Candidate& key, const JwtAlgorithm& algorithm) {
  for (const char* member : {"x", "y"}) {
    std::string bytes;
    if (!DecodeBase64Url(TextOf(key.json, member), bytes) ||
        bytes.size() != algorithm.signature_bytes / 2) {
      return key.Bad(absl::StrCat("has no \"", member, "\" of ",
                                  algorithm.signature_bytes / 2,
                                  " bytes in base64url"));
    }
  }
  return absl::OkStatus();
}

// cjose asserts what it has not checked, such as the form of base64url: its
// input is checked before it.
absl::StatusOr<JwtKey> Import(const Candidate& key,
                              std::vector<const JwtAlgorithm*> algorithms) {
  JwtKey made;
  if (algorithms.front()->key_type == "RSA") {
    const absl::StatusOr<size_t> bytes = CheckRsa(key);
    if (!bytes.ok()) return bytes.status();
    made.modulus_bytes = *bytes;
  } else if (absl::Status status = CheckEc(key, *algorithms.front());
             !status.ok()) {
    return status;
  }
  const std::string text = WriteJson(key.json);
  made.key.reset(cjose_jwk_import(text.data(), text.size(), nullptr));
  ERR_clear_error();
  if (made.key == nullptr) {
    return key.Bad("is damaged: its numbers are not a public key");
  }
  made.algorithms = std::move(algorithms);
  return made;
}

absl::StatusOr<Json> ReadSet(const std::string& jwks) {
  Json set;
  try {
    set = ParseJson(jwks);
  } catch (const JsonDepthError& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("the JWK Set: ", error.what()));
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError("the JWK Set is not valid JSON");
  }
  if (const auto twice = FindDuplicateMember(jwks); twice.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the JWK Set: ", *twice, " is there twice"));
  }
  if (!set.is_object() || !set.contains("keys") || !set["keys"].is_array()) {
    return absl::InvalidArgumentError(
        "the JWK Set is not a JSON object with a list \"keys\" (RFC 7517)");
  }
  return set;
}

}  // namespace

const JwtAlgorithm* FindJwtAlgorithm(std::string_view name) {
  const auto* found =
      std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                   [name](const JwtAlgorithm& a) { return a.name == name; });
  return found == kAlgorithms.end() ? nullptr : found;
}

std::string JwtAlgorithmNames() {
  std::string names;
  for (const JwtAlgorithm& each : kAlgorithms) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", View(each.name));
  }
  return names;
}

bool DecodeBase64Url(std::string_view text, std::string& bytes) {
  return absl::WebSafeBase64Unescape(View(text), &bytes) &&
         absl::WebSafeBase64Escape(bytes) == text;
}

absl::StatusOr<JwtKeys> ReadJwtKeys(
    const std::string& jwks,
    const std::vector<const JwtAlgorithm*>& algorithms) {
  const absl::StatusOr<Json> set = ReadSet(jwks);
  if (!set.ok()) return set.status();
  JwtKeys keys;
  size_t number = 0;
  for (const Json& json : set->at("keys")) {
    ++number;
    const std::string kid = json.is_object() ? TextOf(json, "kid") : "";
    const Candidate candidate = {
        json, kid.empty() ? absl::StrCat("its key number ", number)
                          : absl::StrCat("its key ", QuoteForMessage(kid))};
    if (absl::Status status = CheckPublic(candidate); !status.ok()) {
      return status;
    }
    std::vector<const JwtAlgorithm*> fitting = AlgorithmsOf(json, algorithms);
    if (!IsForSignatures(json) || fitting.empty()) continue;
    absl::StatusOr<JwtKey> key = Import(candidate, std::move(fitting));
    if (!key.ok()) return key.status();
    if (!keys.emplace(kid, *std::move(key)).second) {
      return candidate.Bad(kid.empty() ? "is the second one without a \"kid\""
                                       : "is the second one of that \"kid\"");
    }
  }
  if (keys.size() > 1 && keys.contains("")) {
    return absl::InvalidArgumentError(
        "the JWK Set: one of several keys has no \"kid\": no token could name "
        "it");
  }
  if (keys.empty()) {
    return absl::InvalidArgumentError(
        "the JWK Set has no key that verifies signatures by the algorithms "
        "that are allowed");
  }
  return keys;
}

}  // namespace leasehold
