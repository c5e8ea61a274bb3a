#include "service/security/capability.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "service/base/invariant.h"

namespace leasehold {
namespace {

constexpr std::string_view kVersion = "c1";
constexpr std::string_view kSigned = "leasehold-url-1";
// In the order in which a capability has them.
constexpr std::string_view kVerbs = "shetur";
// More than any capability has.
constexpr size_t kCodeBytesMax = 128;

std::string WithLength(std::string_view text) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) {
    bytes.push_back(static_cast<char>(uint64_t{text.size()} >> shift));
  }
  bytes += text;
  return bytes;
}

// `what`: VERBS.MADE.EXP.
std::string Mac(const CapabilityKeys::Key& key, const CapabilityTarget& target,
                absl::string_view what) {
  const std::string text =
      absl::StrCat(View(kSigned), WithLength(target.tenant),
                   WithLength(target.instance_id), what);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), key.bytes.data(), static_cast<int>(key.bytes.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           digest.data(), &size) == nullptr) {
    BreakInvariant("libcrypto computes HMAC-SHA-256");
  }
  return absl::WebSafeBase64Escape(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

bool IsSame(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() &&
         CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

absl::Status Refused() {
  return absl::UnauthenticatedError(
      "the code in the URL does not allow this: it has expired, or is for "
      "something else");
}

}  // namespace

Capabilities::Capabilities(CapabilityKeys keys, absl::Duration lifetime_max,
                           const Clock& clock)
    : lifetime_max_(lifetime_max),
      clock_(clock),
      keys_(std::make_shared<const CapabilityKeys>(std::move(keys))) {}

bool Capabilities::SetKeys(CapabilityKeys keys) {
  auto next = std::make_shared<const CapabilityKeys>(std::move(keys));
  MutexLock lock(mu_);
  keys_.swap(next);
  return *keys_ != *next;
}

std::shared_ptr<const CapabilityKeys> Capabilities::keys() const {
  MutexLock lock(mu_);
  return keys_;
}

absl::StatusOr<std::string> Capabilities::Make(const CapabilityTarget& target,
                                               std::string_view verbs,
                                               absl::Duration lifetime) const {
  const size_t unknown = verbs.find_first_not_of(kVerbs);
  if (verbs.empty() || unknown != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("the capabilities ", QuoteForMessage(verbs),
                     " must be some of the letters ", View(kVerbs)));
  }
  if (lifetime < absl::Seconds(1) || lifetime > lifetime_max_) {
    return absl::InvalidArgumentError(
        absl::StrCat("a lifetime of ", absl::FormatDuration(lifetime),
                     " is not between 1s and --url-lifetime=",
                     absl::FormatDuration(lifetime_max_)));
  }
  std::string ordered;
  for (const char verb : kVerbs) {
    if (verbs.find(verb) != std::string_view::npos) ordered += verb;
  }
  const absl::Time now = clock_.WallNow();
  const std::string what =
      absl::StrCat(ordered, ".", absl::ToUnixSeconds(now), ".",
                   absl::ToUnixSeconds(now + lifetime));
  const auto keys = this->keys();
  const CapabilityKeys::Key& key = keys->signing();
  return absl::StrCat(View(kVersion), ".", key.id, ".", what, ".",
                      Mac(key, target, what));
}

absl::Status Capabilities::Check(std::string_view code,
                                 const CapabilityTarget& target,
                                 CapabilityVerb verb,
                                 absl::Time not_before) const {
  if (code.size() > kCodeBytesMax) return Refused();
  const std::vector<absl::string_view> parts = absl::StrSplit(View(code), '.');
  if (parts.size() != 6 || parts[0] != View(kVersion)) return Refused();
  const absl::string_view verbs = parts[2];
  const std::string what = absl::StrJoin({verbs, parts[3], parts[4]}, ".");
  const auto keys = this->keys();
  const CapabilityKeys::Key* key =
      keys->Find(std::string_view(parts[1].data(), parts[1].size()));
  if (key == nullptr || !IsSame(parts[5], Mac(*key, target, what))) {
    return Refused();
  }
  // From here on every part is as Make has written it.
  int64_t made = 0;
  int64_t expires = 0;
  if (!absl::SimpleAtoi(parts[3], &made) ||
      !absl::SimpleAtoi(parts[4], &expires) ||
      absl::FromUnixSeconds(made) < not_before ||
      clock_.WallNow() >= absl::FromUnixSeconds(expires) ||
      verbs.find(static_cast<char>(verb)) == absl::string_view::npos) {
    return Refused();
  }
  return absl::OkStatus();
}

}  // namespace leasehold
