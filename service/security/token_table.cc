#include "service/security/token_table.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lease/base/hex.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "service/base/invariant.h"
#include "service/security/policy.h"

namespace leasehold {
namespace {

constexpr size_t kIdLetters = 8;
// No `-` and no `_`: an ID stands alone in commands, and between two of those.
constexpr std::string_view kIdAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr size_t kSecretBytes = 32;
constexpr size_t kSecretLetters = 43;
constexpr absl::string_view kNever = "never";

std::string NewId() {
  std::string id = RandomBytes(kIdLetters);
  for (char& letter : id) {
    letter =
        kIdAlphabet[static_cast<unsigned char>(letter) % kIdAlphabet.size()];
  }
  return id;
}

struct Parts {
  absl::string_view id;
  std::string_view secret;
};

// nullopt: it has not the form of a token.
std::optional<Parts> Split(std::string_view token) {
  if (token.size() != kTokenPrefix.size() + kIdLetters + 1 + kSecretLetters ||
      !token.starts_with(kTokenPrefix)) {
    return std::nullopt;
  }
  token.remove_prefix(kTokenPrefix.size());
  if (token[kIdLetters] != '_') return std::nullopt;
  return Parts{View(token.substr(0, kIdLetters)), token.substr(kIdLetters + 1)};
}

absl::Status ReadHash(absl::string_view text, SecretHash& hash) {
  const bool is_hex =
      text.size() == 2 * hash.size() &&
      text.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
  if (!is_hex) {
    return absl::InvalidArgumentError(
        "the second word is no hash: 64 digits of 0 to 9 and a to f");
  }
  const std::string bytes = BytesFromHex({text.data(), text.size()}).value();
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return absl::OkStatus();
}

absl::Status ReadLine(absl::string_view line, std::string& id,
                      TokenEntry& entry) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", words.size(),
                     " words; a token has 4: ID HASH IDENTITY EXPIRES"));
  }
  id = std::string(words[0]);
  if (id.size() != kIdLetters ||
      id.find_first_not_of(kIdAlphabet) != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(QuoteForMessage(id), " is no ID of a token"));
  }
  if (absl::Status status = ReadHash(words[1], entry.hash); !status.ok()) {
    return status;
  }
  entry.identity = std::string(words[2]);
  if (!IsPolicyName(entry.identity)) {
    return absl::InvalidArgumentError(absl::StrCat(
        QuoteForMessage(entry.identity), " is no name of an identity"));
  }
  std::string why;
  if (words[3] != kNever &&
      !absl::ParseTime(absl::RFC3339_full, words[3], &entry.expires, &why)) {
    return absl::InvalidArgumentError(
        absl::StrCat(QuoteForMessage(std::string(words[3])),
                     " is no time; write never, or as 2027-01-31T00:00:00Z"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenTable> TokenTable::Parse(std::string_view text) {
  TokenTable table;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(View(text), '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    std::string id;
    TokenEntry entry;
    absl::Status status = ReadLine(line, id, entry);
    if (status.ok() && !table.entries_.try_emplace(id, entry).second) {
      status = absl::InvalidArgumentError(
          absl::StrCat("the ID ", QuoteForMessage(id), " is there twice"));
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": ", status.message()));
    }
  }
  return table;
}

const TokenEntry* TokenTable::Find(std::string_view token) const {
  const std::optional<Parts> parts = Split(token);
  if (!parts.has_value()) return nullptr;
  const auto found = entries_.find(parts->id);
  if (found == entries_.end()) return nullptr;
  const SecretHash hash = HashOf(parts->secret);
  // The ID is no secret, but how much of the secret was right would be.
  if (CRYPTO_memcmp(hash.data(), found->second.hash.data(), hash.size()) != 0) {
    return nullptr;
  }
  return &found->second;
}

NewToken MakeToken(std::string_view identity, absl::Time expires) {
  NewToken made;
  made.id = NewId();
  const std::string secret =
      absl::WebSafeBase64Escape(RandomBytes(kSecretBytes));
  made.token = absl::StrCat(View(kTokenPrefix), made.id, "_", secret);
  const SecretHash hash = HashOf(secret);
  made.line = absl::StrCat(
      made.id, " ",
      absl::BytesToHexString(absl::string_view(
          reinterpret_cast<const char*>(hash.data()), hash.size())),
      " ", View(identity), " ",
      expires == absl::InfiniteFuture()
          ? std::string(kNever)
          : absl::FormatTime(absl::RFC3339_sec, expires, absl::UTCTimeZone()),
      "\n");
  return made;
}

}  // namespace leasehold
