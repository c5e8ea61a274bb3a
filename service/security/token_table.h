// TokenTable: the tokens that were given out, of which the server keeps only
// hashes.
//
// A token is `lh_ID_SECRET`: eight letters of base32, and 43 of base64url,
// which have 256 random bits. A token file has a line for each:
//
//   ID SHA256-OF-SECRET IDENTITY EXPIRES
//
// EXPIRES is a time as in RFC 3339, or `never`. Empty lines and lines that
// begin with `#` say nothing.
//
// Thread-safety: values; a table does not change.
#ifndef LEASEHOLD_SERVICE_SECURITY_TOKEN_TABLE_H_
#define LEASEHOLD_SERVICE_SECURITY_TOKEN_TABLE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/security/secret.h"

namespace leasehold {

// What every token begins with: those that do not are not ours.
inline constexpr std::string_view kTokenPrefix = "lh_";
// How many of its letters are no secret.
inline constexpr size_t kTokenIdEnd = 11;

struct TokenEntry {
  SecretHash hash = {};
  std::string identity;
  absl::Time expires = absl::InfiniteFuture();
};

class TokenTable {
 public:
  // Reads a token file.
  //   InvalidArgument: a line is none of a token file; the message says which
  //     and why, and never quotes a hash.
  static absl::StatusOr<TokenTable> Parse(std::string_view text);

  // Whose token it is, or was before it expired. nullptr: nobody's.
  const TokenEntry* Find(std::string_view token) const;

  const absl::flat_hash_map<std::string, TokenEntry>& entries() const {
    return entries_;
  }

 private:
  absl::flat_hash_map<std::string, TokenEntry> entries_;  // By ID.
};

// A token that was just made, and its line in a token file.
struct NewToken {
  std::string id;
  std::string token;
  std::string line;  // With its end.
};
NewToken MakeToken(std::string_view identity, absl::Time expires);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_TOKEN_TABLE_H_
