#include "service/security/jwt_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "tests/security/test_jwt.h"

namespace leasehold {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

constexpr char kIssuer[] = "https://issuer.example";
constexpr char kAudience[] = "leasehold";
const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

int64_t In(int seconds) { return 1'800'000'000 + seconds; }

Json GoodClaims() {
  return {{"iss", kIssuer},
          {"aud", kAudience},
          {"sub", "worker-7"},
          {"exp", In(600)},
          {"tenant", "acme"}};
}

const TestJwtKey& RsaKey() {
  static const auto& key = *new TestJwtKey(TestJwtKey::Rsa());
  return key;
}
const TestJwtKey& EcKey() {
  static const auto& key = *new TestJwtKey(TestJwtKey::Ec("P-256"));
  return key;
}

JwtRules RulesWith(const std::vector<Json>& keys) {
  return {.issuer = kIssuer,
          .audience = kAudience,
          .jwks = Json::object({{"keys", keys}}).dump(),
          .algorithms = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
                         "ES256", "ES384", "ES512"}};
}
// The rules of most tests: an RSA key and one of an elliptic curve.
JwtRules Rules() { return RulesWith({RsaKey().Jwk("rsa"), EcKey().Jwk("ec")}); }

JwtVerifier MakeVerifier(const JwtRules& rules) {
  absl::StatusOr<JwtVerifier> made = JwtVerifier::Make(rules);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

std::string EcToken(const Json& claims) {
  return EcKey().Token({{"alg", "ES256"}, {"kid", "ec"}}, claims, "ES256");
}

// The refusal of `token`, which must not be quoted in it.
void ExpectRefused(const JwtVerifier& verifier, const std::string& token,
                   const std::string& why, absl::Time now = kNow) {
  const auto claims = verifier.Verify(token, now);
  ASSERT_FALSE(claims.ok()) << token;
  EXPECT_EQ(claims.status().code(), absl::StatusCode::kUnauthenticated);
  const std::string message(claims.status().message());
  EXPECT_THAT(message, HasSubstr(why)) << token;
  for (size_t i = 0; i + 8 <= message.size(); ++i) {
    EXPECT_EQ(token.find(message.substr(i, 8)), std::string::npos) << message;
  }
}

void ExpectBadRules(const JwtRules& rules, const std::string& why) {
  const auto made = JwtVerifier::Make(rules);
  ASSERT_FALSE(made.ok()) << why;
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(made.status().message()), HasSubstr(why));
}

// ---- Good tokens ------------------------------------------------------------

TEST(JwtVerifier, EveryAlgorithmVerifiesByItsKey) {
  const TestJwtKey p384 = TestJwtKey::Ec("P-384");
  const TestJwtKey p521 = TestJwtKey::Ec("P-521");
  const JwtVerifier verifier =
      MakeVerifier(RulesWith({RsaKey().Jwk("rsa"), EcKey().Jwk("p256"),
                              p384.Jwk("p384"), p521.Jwk("p521")}));
  struct Case {
    std::string algorithm;
    const TestJwtKey& key;
    std::string kid;
  };
  for (const Case& c : std::vector<Case>{{"RS256", RsaKey(), "rsa"},
                                         {"RS384", RsaKey(), "rsa"},
                                         {"RS512", RsaKey(), "rsa"},
                                         {"PS256", RsaKey(), "rsa"},
                                         {"PS384", RsaKey(), "rsa"},
                                         {"PS512", RsaKey(), "rsa"},
                                         {"ES256", EcKey(), "p256"},
                                         {"ES384", p384, "p384"},
                                         {"ES512", p521, "p521"}}) {
    const auto claims = verifier.Verify(
        c.key.Token({{"alg", c.algorithm}, {"kid", c.kid}, {"typ", "JWT"}},
                    GoodClaims(), c.algorithm),
        kNow);
    ASSERT_TRUE(claims.ok()) << c.algorithm << ": " << claims.status();
    EXPECT_EQ(claims->subject(), "worker-7");
    EXPECT_EQ(claims->expires(), kNow + absl::Seconds(600));
  }
}

TEST(JwtVerifier, ClaimsAreFoundByNameAndByPointer) {
  Json given = GoodClaims();
  given["roles"] = {"viewer", "user"};
  given["realm"] = {{"roles", Json::array({"operator"})}};
  given["https://example.com/tenant"] = "by-url";
  given["number"] = 7;
  given["mixed"] = Json::array({"viewer", 7});
  const auto claims = MakeVerifier(Rules()).Verify(EcToken(given), kNow);
  ASSERT_TRUE(claims.ok()) << claims.status();
  using Texts = std::vector<std::string>;
  EXPECT_EQ(claims->Text("tenant"), "acme");
  EXPECT_EQ(claims->Text("https://example.com/tenant"), "by-url");
  EXPECT_EQ(claims->Texts("roles"), (Texts{"viewer", "user"}));
  EXPECT_EQ(claims->Texts("tenant"), Texts{"acme"});
  EXPECT_EQ(claims->Texts("/realm/roles"), Texts{"operator"});
  EXPECT_EQ(claims->Text("/roles/1"), "user");
  for (const char* none :
       {"", "/", "none", "/none/deeper", "/roles/x", "/roles/01", "/roles/~2",
        "number", "roles/0", "/tenant/0"}) {
    EXPECT_EQ(claims->Text(none), std::nullopt) << none;
    EXPECT_EQ(claims->Texts(none), std::nullopt) << none;
  }
  EXPECT_EQ(claims->Texts("mixed"), std::nullopt);
  EXPECT_EQ(claims->Text("roles"), std::nullopt);
}

TEST(JwtVerifier, OnlyKeyNeedsNoName) {
  Json nameless = EcKey().Jwk("");
  nameless.erase("kid");
  const std::string token =
      EcKey().Token({{"alg", "ES256"}}, GoodClaims(), "ES256");
  EXPECT_TRUE(MakeVerifier(RulesWith({nameless})).Verify(token, kNow).ok());
  EXPECT_TRUE(
      MakeVerifier(RulesWith({EcKey().Jwk("ec")})).Verify(token, kNow).ok());
  ExpectRefused(MakeVerifier(Rules()), token, "names no key");
  ExpectRefused(MakeVerifier(RulesWith({nameless})), EcToken(GoodClaims()),
                "names no key");
}

TEST(JwtVerifier, KeysForOtherPurposesAreLeftOut) {
  Json for_encryption = RsaKey().Jwk("enc");
  for_encryption["use"] = "enc";
  Json by_operations = RsaKey().Jwk("ops");
  by_operations["key_ops"] = Json::array({"encrypt"});
  Json by_algorithm = RsaKey().Jwk("alg");
  by_algorithm["alg"] = "RSA-OAEP";
  const Json of_other_type = {
      {"kty", "OKP"}, {"crv", "Ed25519"}, {"kid", "okp"}, {"x", "AA"}};
  Json kept = EcKey().Jwk("ec");
  kept["use"] = "sig";
  kept["key_ops"] = Json::array({"verify"});
  kept["alg"] = "ES256";
  const JwtVerifier verifier = MakeVerifier(RulesWith(
      {for_encryption, by_operations, by_algorithm, of_other_type, kept}));
  EXPECT_TRUE(verifier.Verify(EcToken(GoodClaims()), kNow).ok());
  for (const char* kid : {"enc", "ops", "alg", "okp"}) {
    ExpectRefused(
        verifier,
        RsaKey().Token({{"alg", "RS256"}, {"kid", kid}}, GoodClaims(), "RS256"),
        "names no key");
  }
}

// Addresses and keys in the header are the sender's to choose.
TEST(JwtVerifier, KeysInTheHeaderAreNotLookedAt) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  const TestJwtKey attacker = TestJwtKey::Ec("P-256");
  const Json header = {{"alg", "ES256"},
                       {"kid", "ec"},
                       {"jku", "https://attacker.example/jwks"},
                       {"x5u", "file:///etc/passwd"},
                       {"x5c", Json::array({"MIIB"})},
                       {"jwk", attacker.Jwk("ec")}};
  ExpectRefused(verifier, attacker.Token(header, GoodClaims(), "ES256"),
                "signature");
  EXPECT_TRUE(
      verifier.Verify(EcKey().Token(header, GoodClaims(), "ES256"), kNow).ok());
}

TEST(JwtVerifier, ManyThreadsMayVerify) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  const std::string good[] = {EcToken(GoodClaims()),
                              RsaKey().Token({{"alg", "PS256"}, {"kid", "rsa"}},
                                             GoodClaims(), "PS256")};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&verifier, &good] {
      for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(verifier.Verify(good[i % 2], kNow).ok());
        EXPECT_FALSE(verifier.Verify(good[i % 2] + "A", kNow).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// ---- Attacks on the signature -----------------------------------------------

TEST(JwtVerifier, AlgorithmNoneIsRefused) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  for (const char* none : {"none", "None", "NONE", "nOnE", ""}) {
    const std::string text =
        ToBase64Url(Json{{"alg", none}, {"kid", "ec"}}.dump()) + "." +
        ToBase64Url(GoodClaims().dump()) + ".";
    ExpectRefused(verifier, text, "algorithm that is not allowed");
    ExpectRefused(verifier, text + "AAAA", "algorithm that is not allowed");
  }
}

// The public key is no secret: as the key of an HMAC it would prove nothing.
TEST(JwtVerifier, HmacByThePublicKeyIsRefused) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  const std::string text = ToBase64Url(R"({"alg":"HS256","kid":"rsa"})") + "." +
                           ToBase64Url(GoodClaims().dump());
  std::string modulus;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(
      RsaKey().Jwk("")["n"].get<std::string>(), &modulus));
  for (const std::string& secret :
       {RsaKey().Pem(), RsaKey().Jwk("rsa").dump(), modulus, std::string()}) {
    ExpectRefused(verifier, text + "." + ToBase64Url(TestHmac(secret, text)),
                  "algorithm that is not allowed");
  }
}

TEST(JwtVerifier, AlgorithmOfAnotherKeyIsRefused) {
  Json only_384 = RsaKey().Jwk("rsa");
  only_384["alg"] = "RS384";
  const JwtVerifier verifier =
      MakeVerifier(RulesWith({only_384, EcKey().Jwk("ec")}));
  const auto token = [](const std::string& kid, const std::string& algorithm) {
    return RsaKey().Token({{"alg", algorithm}, {"kid", kid}}, GoodClaims(),
                          "RS384");
  };
  EXPECT_TRUE(verifier.Verify(token("rsa", "RS384"), kNow).ok());
  for (const char* other : {"RS256", "PS384", "ES384", "ES256", "rs384"}) {
    ExpectRefused(verifier, token("rsa", other), "algorithm");
  }
  ExpectRefused(verifier, token("ec", "RS384"), "algorithm");
  ExpectRefused(verifier, token("ec", "ES384"), "algorithm");

  JwtRules only_es = Rules();
  only_es.algorithms = {"ES256"};
  ExpectRefused(MakeVerifier(only_es), token("rsa", "RS384"), "names no key");
}

// Those that would look up a file, a row or a variable by the name.
TEST(JwtVerifier, NameOfAKeyIsOnlyAName) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  for (const Json& kid :
       {Json("../../../../dev/null"), Json("/proc/self/environ"),
        Json("ec' OR '1'='1"), Json(std::string("ec\0", 3)), Json(" ec"),
        Json("EC"), Json(""), Json("${HOME}"), Json(nullptr), Json(0),
        Json::array({"ec"}), Json(std::string(4000, 'k'))}) {
    ExpectRefused(
        verifier,
        EcKey().Token({{"alg", "ES256"}, {"kid", kid}}, GoodClaims(), "ES256"),
        "names no key");
  }
}

TEST(JwtVerifier, SignatureOfAnotherKeyOrOfNothingIsRefused) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  const Json header = {{"alg", "ES256"}, {"kid", "ec"}};
  ExpectRefused(verifier,
                TestJwtKey::Ec("P-256").Token(header, GoodClaims(), "ES256"),
                "signature");
  const std::string good = EcToken(GoodClaims());
  const std::string text = good.substr(0, good.rfind('.') + 1);
  // ECDSA of numbers that are zero (CVE-2022-21449), or too large.
  for (const std::string& signature :
       {std::string(), std::string(64, '\0'), std::string(64, '\xFF'),
        std::string(63, 'x'), std::string(65, 'x'), std::string(128, '\0')}) {
    ExpectRefused(verifier, text + ToBase64Url(signature), "signature");
  }
  // The claims of one token with the signature of another.
  Json more = GoodClaims();
  more["tenant"] = "other";
  const std::string other = EcToken(more);
  ExpectRefused(verifier, text + other.substr(other.rfind('.') + 1),
                "signature");
}

TEST(JwtVerifier, EachByteOfASignatureCounts) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  for (const std::string& good :
       {EcToken(GoodClaims()),
        RsaKey().Token({{"alg", "RS256"}, {"kid", "rsa"}}, GoodClaims(),
                       "RS256"),
        RsaKey().Token({{"alg", "PS256"}, {"kid", "rsa"}}, GoodClaims(),
                       "PS256")}) {
    ASSERT_TRUE(verifier.Verify(good, kNow).ok());
    const size_t dot = good.rfind('.');
    std::string signature;
    ASSERT_TRUE(absl::WebSafeBase64Unescape(good.substr(dot + 1), &signature));
    for (size_t i = 0; i < signature.size(); ++i) {
      std::string flipped = signature;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
      ExpectRefused(verifier, good.substr(0, dot + 1) + ToBase64Url(flipped),
                    "signature");
    }
  }
}

// The last character of a part may have bits that stand for nothing, and cjose
// ends the process at a part of one character too many.
TEST(JwtVerifier, EachCharacterOfATokenCounts) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  const std::string good = EcToken(GoodClaims());
  for (size_t i = 0; i < good.size(); ++i) {
    for (const char c : {'A', 'B', 'w', '-', '.', '=', ' ', '\0'}) {
      if (good[i] == c) continue;
      std::string other = good;
      other[i] = c;
      EXPECT_FALSE(verifier.Verify(other, kNow).ok()) << i << " " << c;
    }
    EXPECT_FALSE(verifier.Verify(good.substr(0, i), kNow).ok()) << i;
  }
  for (const char* end : {"=", "==", " ", "\n", ".", "A", ".."}) {
    EXPECT_FALSE(verifier.Verify(good + end, kNow).ok()) << end;
  }
}

// ---- Attacks on the form ----------------------------------------------------

TEST(JwtVerifier, WhatIsNoTokenIsRefused) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  const std::string good = EcToken(GoodClaims());
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("..."),
        std::string("a.b"), std::string("a.b.c"), good + ".x",
        "." + good.substr(good.find('.')), std::string("lh_ID_SECRET"),
        ToBase64Url("[]") + ".e30.AAAA", ToBase64Url("7") + ".e30.AAAA"}) {
    ExpectRefused(verifier, token, "not a signed JSON Web Token");
  }
  ExpectRefused(verifier, ToBase64Url("{}") + ".e30.AAAA", "no algorithm");
  ExpectRefused(verifier, ToBase64Url(R"({"alg":7})") + ".e30.AAAA",
                "no algorithm");
}

TEST(JwtVerifier, CriticalExtensionsAreRefused) {
  ExpectRefused(MakeVerifier(Rules()),
                EcKey().Token({{"alg", "ES256"},
                               {"kid", "ec"},
                               {"crit", Json::array({"b64"})},
                               {"b64", false}},
                              GoodClaims(), "ES256"),
                "extension");
}

TEST(JwtVerifier, LargeAndDeepTokensAreNotLookedAt) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  Json claims = GoodClaims();
  claims["padding"] = std::string(5000, 'x');
  EXPECT_TRUE(verifier.Verify(EcToken(claims), kNow).ok());
  claims["padding"] = std::string(JwtVerifier::kTokenBytesMax, 'x');
  ExpectRefused(verifier, EcToken(claims), "larger than 8192 bytes");
  ExpectRefused(verifier, std::string(64 << 20, '.'), "larger than");
  const std::string deep(1500, '[');
  ExpectRefused(verifier, ToBase64Url(R"({"a":)" + deep) + ".e30.AAAA",
                "not a signed JSON Web Token");
  ExpectRefused(verifier,
                EcKey().TokenOf(
                    R"({"alg":"ES256","kid":"ec"})",
                    R"({"a":)" + deep + std::string(1500, ']') + "}", "ES256"),
                "cannot be read");
}

TEST(JwtVerifier, ClaimsThatAreNoObjectAreRefused) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  for (const char* claims : {"", "[]", "7", "null", "\"text\"", "{",
                             R"({"exp":1e999})", "{\"a\":\"\xFF\"}", "{} {}"}) {
    ExpectRefused(
        verifier,
        EcKey().TokenOf(R"({"alg":"ES256","kid":"ec"})", claims, "ES256"),
        "cannot be read");
  }
}

// ---- Claims -----------------------------------------------------------------

TEST(JwtVerifier, OtherIssuersAndAudiencesAreRefused) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  const auto with = [](const char* name, const Json& value) {
    Json claims = GoodClaims();
    claims[name] = value;
    return EcToken(claims);
  };
  const auto without = [](const char* name) {
    Json claims = GoodClaims();
    claims.erase(name);
    return EcToken(claims);
  };
  for (const Json& issuer :
       {Json("https://issuer.example/"), Json("HTTPS://issuer.example"),
        Json(""), Json(nullptr), Json(7), Json::array({kIssuer})}) {
    ExpectRefused(verifier, with("iss", issuer), "another issuer");
  }
  ExpectRefused(verifier, without("iss"), "another issuer");
  for (const Json& audience :
       {Json("leasehold2"), Json("Leasehold"), Json(""), Json(nullptr), Json(7),
        Json::array(), Json({"other", "leasehol"}),
        Json::array({Json::array({kAudience})}), Json({{"a", kAudience}})}) {
    ExpectRefused(verifier, with("aud", audience), "another audience");
  }
  ExpectRefused(verifier, without("aud"), "another audience");
  EXPECT_TRUE(
      verifier.Verify(with("aud", Json({"other", kAudience})), kNow).ok());
}

TEST(JwtVerifier, TimeIsCheckedWithinTheLeeway) {
  JwtRules rules = Rules();
  rules.leeway = absl::Seconds(30);
  const JwtVerifier verifier = MakeVerifier(rules);
  Json claims = GoodClaims();
  claims["nbf"] = In(100);
  claims["exp"] = In(200);
  const std::string token = EcToken(claims);
  const auto at = [](double seconds) { return kNow + absl::Seconds(seconds); };
  ExpectRefused(verifier, token, "not valid yet", at(69.9));
  EXPECT_TRUE(verifier.Verify(token, at(70)).ok());
  EXPECT_TRUE(verifier.Verify(token, at(229.9)).ok());
  ExpectRefused(verifier, token, "has expired", at(230));
  ExpectRefused(verifier, token, "has expired", at(1e9));
}

TEST(JwtVerifier, TimesThatAreMissingOrNoTimesAreRefused) {
  const JwtVerifier verifier = MakeVerifier(Rules());
  Json claims = GoodClaims();
  claims.erase("exp");
  ExpectRefused(verifier, EcToken(claims), "no expiry");
  for (const Json& time : {Json("1900000000"), Json(nullptr), Json(true),
                           Json::array({1'900'000'000}), Json::object()}) {
    claims = GoodClaims();
    claims["exp"] = time;
    ExpectRefused(verifier, EcToken(claims), "not a time");
    claims = GoodClaims();
    claims["nbf"] = time;
    ExpectRefused(verifier, EcToken(claims), "not a time");
  }
  claims = GoodClaims();
  claims["exp"] = -1e300;
  ExpectRefused(verifier, EcToken(claims), "has expired");
  claims["exp"] = 0;
  ExpectRefused(verifier, EcToken(claims), "has expired");
  claims["exp"] = static_cast<double>(In(1)) + 0.5;
  EXPECT_TRUE(verifier.Verify(EcToken(claims), kNow).ok());
  claims["nbf"] = 1e300;
  ExpectRefused(verifier, EcToken(claims), "not valid yet");
}

// ---- Rules and keys that cannot be right ------------------------------------

TEST(JwtVerifier, RulesThatCannotBeRightAreRefused) {
  const auto with = [](const std::function<void(JwtRules&)>& change) {
    JwtRules rules = Rules();
    change(rules);
    return rules;
  };
  ExpectBadRules(with([](JwtRules& r) { r.issuer = ""; }), "no issuer");
  ExpectBadRules(with([](JwtRules& r) { r.audience = ""; }), "no audience");
  ExpectBadRules(with([](JwtRules& r) { r.algorithms = {}; }),
                 "no algorithm is allowed");
  ExpectBadRules(with([](JwtRules& r) { r.leeway = absl::Seconds(-1); }),
                 "leeway");
  for (const char* algorithm : {"none", "HS256", "HS512", "RS1", "rs256",
                                "EdDSA", "ES256K", "RSA-OAEP", ""}) {
    ExpectBadRules(
        with([algorithm](JwtRules& r) {
          r.algorithms = {"RS256", algorithm};
        }),
        std::string("the algorithm \"") + algorithm + "\" is not one of RS256");
  }
}

TEST(JwtVerifier, SetsThatCannotBeRightAreRefused) {
  const auto with = [](const std::string& jwks) {
    JwtRules rules = Rules();
    rules.jwks = jwks;
    return rules;
  };
  ExpectBadRules(with(""), "not valid JSON");
  ExpectBadRules(with("-----BEGIN PUBLIC KEY-----"), "not valid JSON");
  ExpectBadRules(with(std::string(200, '[')), "nested deeper");
  for (const char* set : {"[]", "{}", R"({"keys":{}})", "7"}) {
    ExpectBadRules(with(set), "a list \"keys\"");
  }
  ExpectBadRules(with(R"({"keys":[]})"), "has no key that verifies");
  ExpectBadRules(with(R"({"keys":[7]})"), "its key number 1 is not a JSON");
  ExpectBadRules(with(R"({"keys":[{"kid":"a"}]})"), "its key \"a\" has no");
}

TEST(JwtVerifier, KeysThatProveNothingAreRefused) {
  const auto changed = [](const TestJwtKey& key, const char* member,
                          const Json& value) {
    Json jwk = key.Jwk("bad");
    jwk[member] = value;
    return RulesWith({RsaKey().Jwk("rsa"), jwk});
  };
  ExpectBadRules(RulesWith({Json{{"kty", "oct"}, {"kid", "s"}, {"k", "AAAA"}}}),
                 "its key \"s\" is a symmetric key");
  ExpectBadRules(changed(RsaKey(), "k", "AAAA"), "\"bad\" is a symmetric key");
  for (const char* member : {"d", "p", "q", "dp", "dq", "qi", "oth"}) {
    ExpectBadRules(changed(RsaKey(), member, "AAAA"), "private key");
  }
  ExpectBadRules(changed(EcKey(), "d", "AAAA"), "private key");
  ExpectBadRules(RulesWith({TestJwtKey::Rsa(1024).Jwk("small")}),
                 "its key \"small\" is an RSA key of 1024 bits; it needs 2048");
  // Zeros in front make a number no larger.
  Json padded = TestJwtKey::Rsa(1024).Jwk("padded");
  std::string modulus;
  ASSERT_TRUE(
      absl::WebSafeBase64Unescape(padded["n"].get<std::string>(), &modulus));
  padded["n"] = ToBase64Url(std::string(128, '\0') + modulus);
  ExpectBadRules(RulesWith({padded}), "1024 bits");
  for (const char* exponent : {"\x01", "\x02", "\x01\x00"}) {
    ExpectBadRules(changed(RsaKey(), "e", ToBase64Url(exponent)), "exponent");
  }
  for (const Json& none :
       {Json(""), Json(7), Json("!"), Json("AA=="), Json("AAAA")}) {
    ExpectBadRules(changed(RsaKey(), "n", none), "has no \"n\" and \"e\"");
  }
  // A point that is not on its curve.
  ExpectBadRules(changed(EcKey(), "x", EcKey().Jwk("")["y"]), "is damaged");
  for (const Json& none : {Json(nullptr), Json(""), Json("AAAAA"), Json("!"),
                           Json(ToBase64Url(std::string(33, 'y')))}) {
    ExpectBadRules(changed(EcKey(), "y", none), "has no \"y\" of 32 bytes");
  }
}

TEST(JwtVerifier, TwoKeysOfOneNameAreRefused) {
  ExpectBadRules(RulesWith({RsaKey().Jwk("a"), EcKey().Jwk("a")}),
                 "its key \"a\" is the second one of that \"kid\"");
  Json nameless = EcKey().Jwk("");
  ExpectBadRules(RulesWith({nameless}), "\"kid\" that is not a text");
  nameless.erase("kid");
  ExpectBadRules(RulesWith({nameless, nameless}), "second one without");
  ExpectBadRules(RulesWith({nameless, RsaKey().Jwk("a")}), "no \"kid\"");
}

}  // namespace
}  // namespace leasehold
