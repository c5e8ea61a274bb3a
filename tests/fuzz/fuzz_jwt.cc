// Fuzzes JwtVerifier, in two ways by the first byte of the input: the rest is a
// token, which nobody has signed; or it is a header and, after a zero byte, the
// claims of a token that is signed here by the trusted key.
#include <algorithm>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/security/jwt_verifier.h"
#include "tests/fuzz/property.h"
#include "tests/security/test_jwt.h"

namespace {

using leasehold::JwtClaims;
using leasehold::JwtVerifier;
using leasehold::Property;
using leasehold::TestJwtKey;
using Json = nlohmann::json;

constexpr char kIssuer[] = "me";
constexpr char kAudience[] = "you";
const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

const TestJwtKey& Key() {
  static const auto& key = *new TestJwtKey(TestJwtKey::Ec("P-256"));
  return key;
}

const JwtVerifier& Verifier() {
  static const auto& verifier = *new JwtVerifier(
      JwtVerifier::Make(
          {.issuer = kIssuer,
           .audience = kAudience,
           .jwks =
               Json::object({{"keys", Json::array({Key().Jwk("key")})}}).dump(),
           .algorithms = {"ES256", "RS256"},
           .leeway = absl::ZeroDuration()})
          .value());
  return verifier;
}

void CheckRefusal(const absl::Status& status, const std::string& token) {
  Property(status.code() == absl::StatusCode::kUnauthenticated,
           "a refusal is UNAUTHENTICATED");
  Property(status.message().find('\n') == absl::string_view::npos,
           "a refusal is one line");
  const std::string message(status.message());
  Property(token.size() < 8 || message.find(token) == std::string::npos,
           "a refusal does not quote the token");
}

// What any token that is accepted must say, whatever else it does.
void CheckAccepted(const std::string& header, const std::string& claims,
                   const JwtClaims& read) {
  const Json says = Json::parse(claims);
  const Json head = Json::parse(header);
  Property(head.at("alg") == "ES256", "the algorithm is the key's");
  Property(!head.contains("kid") || head.at("kid") == "key",
           "the key is the one that is named");
  Property(!head.contains("crit"), "no extension is asked for");
  Property(says.at("iss") == kIssuer, "the issuer is the one that is trusted");
  const Json& audience = says.at("aud");
  Property(audience == kAudience ||
               std::count(audience.begin(), audience.end(), kAudience) > 0,
           "the token is for us");
  Property(says.at("exp").is_number() && read.expires() > kNow,
           "the token has not expired");
  Property(!says.contains("nbf") || says.at("nbf").get<double>() <= 1.8e9,
           "the token is valid already");
  for (const char* name : {"sub", "/a/b", "/a/0", "a"}) {
    const auto text = read.Text(name);
    const auto texts = read.Texts(name);
    Property(!text.has_value() || (texts.has_value() && texts->size() == 1 &&
                                   texts->front() == *text),
             "a text is a list of one");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string input(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] != 's') {
    const auto claims = Verifier().Verify(input, kNow);
    Property(!claims.ok(), "nobody has signed it");
    CheckRefusal(claims.status(), input);
    return 0;
  }
  const size_t zero = input.find('\0');
  const std::string header = input.substr(0, zero);
  const std::string claims =
      zero == std::string::npos ? "" : input.substr(zero + 1);
  const std::string token = Key().TokenOf(header, claims, "ES256");
  const auto read = Verifier().Verify(token, kNow);
  if (read.ok()) {
    CheckAccepted(header, claims, *read);
  } else {
    CheckRefusal(read.status(), token);
  }
  std::string forged = token;
  forged[size * 31 % forged.size()] ^= 1;
  Property(!Verifier().Verify(forged, kNow).ok(), "each character counts");
  return 0;
}
