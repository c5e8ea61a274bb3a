#include "service/base/page_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "service/base/invariant.h"

namespace leasehold {
namespace {

constexpr size_t kTagBytes = 16;
constexpr size_t kPositionBytes = sizeof(PageTokens::Position);
static_assert(kPositionBytes <= kTagBytes, "one tag hides a position");

// What the key is used for: the two uses must never see the same bytes.
constexpr char kForTag = 'T';
constexpr char kForHiding = 'H';

std::string Hmac(const std::string& key, const std::string& bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
           digest, &size) == nullptr ||
      size < kTagBytes) {
    BreakInvariant("libcrypto computes HMAC-SHA-256");
  }
  return {reinterpret_cast<const char*>(digest), kTagBytes};
}

std::string ToBytes(uint64_t number) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) {
    bytes.push_back(static_cast<char>(number >> shift));
  }
  return bytes;
}

uint64_t ToNumber(std::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = bytes.size(); i-- > 0;) {
    number = number << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return number;
}

// Hides a position, and shows a hidden one.
std::string Hide(const std::string& key, const std::string& tag,
                 std::string_view position) {
  std::string hidden = Hmac(key, kForHiding + tag);
  hidden.resize(kPositionBytes);
  for (size_t i = 0; i < kPositionBytes; ++i) hidden[i] ^= position[i];
  return hidden;
}

}  // namespace

// ---- Scopes -----------------------------------------------------------------

PageScope::PageScope(std::string_view kind, std::string_view tenant) {
  Add(kind);
  Add(tenant);
}

void PageScope::Add(std::string_view part) {
  bytes_ += ToBytes(part.size());
  bytes_ += part;
}

void PageScope::AddNumber(std::optional<int64_t> number) {
  Add(number.has_value() ? ToBytes(static_cast<uint64_t>(*number))
                         : std::string());
}

void PageScope::AddNumbers(std::vector<int32_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::string part;
  for (const int32_t number : numbers) {
    part += ToBytes(static_cast<uint64_t>(number));
  }
  Add(part);
}

// ---- Tokens -----------------------------------------------------------------

std::string PageTokens::NewKey() {
  std::string key(kKeyBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()),
                 static_cast<int>(key.size())) != 1) {
    BreakInvariant("the system has random bytes");
  }
  return key;
}

PageTokens::PageTokens(std::string key) : key_(std::move(key)) {
  CheckInvariant(key_.size() == kKeyBytes, "a key of page tokens has 32 bytes");
}

std::string PageTokens::Make(const PageScope& scope,
                             const Position& position) const {
  const std::string plain = ToBytes(position[0]) + ToBytes(position[1]);
  const std::string tag = Hmac(key_, kForTag + plain + scope.bytes());
  const std::string bytes = tag + Hide(key_, tag, plain);
  return absl::WebSafeBase64Escape({bytes.data(), bytes.size()});
}

std::optional<PageTokens::Position> PageTokens::Read(
    const PageScope& scope, std::string_view token) const {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape({token.data(), token.size()}, &bytes) ||
      bytes.size() != kTagBytes + kPositionBytes) {
    return std::nullopt;
  }
  const std::string plain = Hide(key_, bytes.substr(0, kTagBytes),
                                 std::string_view(bytes).substr(kTagBytes));
  const Position position = {ToNumber(std::string_view(plain).substr(0, 8)),
                             ToNumber(std::string_view(plain).substr(8))};
  // Made again and compared as a whole, so that there is one text for it; and
  // in the same time wherever the two differ.
  const std::string made = Make(scope, position);
  if (made.size() != token.size() ||
      CRYPTO_memcmp(made.data(), token.data(), made.size()) != 0) {
    return std::nullopt;
  }
  return position;
}

std::string PageTokens::MakeShowing(std::string_view shown, PageScope scope,
                                    const Position& position) const {
  scope.Add(shown);
  return absl::StrCat(std::string(shown), ":", Make(scope, position));
}

std::optional<PageTokens::Position> PageTokens::ReadShowing(
    PageScope scope, std::string_view token) const {
  // What is shown may have colons; the rest has none.
  const size_t colon = token.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  scope.Add(token.substr(0, colon));
  return Read(scope, token.substr(colon + 1));
}

absl::Status IsNotATokenOfThisList(std::string_view field,
                                   std::string_view token) {
  return absl::InvalidArgumentError(absl::StrCat(
      std::string(field), ": ", QuoteForMessage(token),
      " is not a page token of this list: this server has not made it, or has "
      "made it for another filter, order, tenant or method. Send the token of "
      "the previous page with the same filter and order, or none for the first "
      "page"));
}

}  // namespace leasehold
