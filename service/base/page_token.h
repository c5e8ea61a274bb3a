// PageTokens: where a list continues, as bytes that only their maker can make
// and read.
//
// A position in a list is a number of ours: of a row, of a hash. A client that
// could write it could continue anywhere, and one that could read it would
// learn how many rows others have. So a token is sealed with a secret key:
//
//   tag   = HMAC(key, position, scope)
//   token = base64url(tag, position xor HMAC(key, tag))
//
// The scope says which list it is: its kind, its tenant and its filter. It is
// not in the token; a token of another list has another tag, and is refused.
// The same position in the same list always has the same token.
//
// Where a protocol wants to see something in the token, it comes first, as it
// is, and is a part of the scope:
//
//   token = shown ":" base64url(...)
//
// Thread-safety: PageTokens is safe; a PageScope is a value.
#ifndef LEASEHOLD_SERVICE_BASE_PAGE_TOKEN_H_
#define LEASEHOLD_SERVICE_BASE_PAGE_TOKEN_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace leasehold {

// Which list a token belongs to. Parts are told apart: "ab", "c" is another
// scope than "a", "bc".
class PageScope {
 public:
  // `kind`: the lists of one method, such as "orchestrations".
  PageScope(std::string_view kind, std::string_view tenant);

  // Adds a part of the filter.
  void Add(std::string_view part);
  void AddNumber(std::optional<int64_t> number);
  // A set: order and repetition do not count.
  void AddNumbers(std::vector<int32_t> numbers);

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class PageTokens {
 public:
  static constexpr size_t kKeyBytes = 32;

  // Where a list continues; what the numbers mean is up to the list.
  using Position = std::array<uint64_t, 2>;

  // A key from the system's source of secrets. Ends the process if there is
  // none.
  static std::string NewKey();

  // REQUIRES: `key` has kKeyBytes.
  explicit PageTokens(std::string key);

  std::string Make(const PageScope& scope, const Position& position) const;

  // nullopt: Make has not made `token` with this key and this scope.
  std::optional<Position> Read(const PageScope& scope,
                               std::string_view token) const;

  // The same for a token in which `shown` can be read.
  std::string MakeShowing(std::string_view shown, PageScope scope,
                          const Position& position) const;
  std::optional<Position> ReadShowing(PageScope scope,
                                      std::string_view token) const;

 private:
  std::string key_;
};

// InvalidArgument, for a token that Read refuses. `field` is what the caller
// calls it.
absl::Status IsNotATokenOfThisList(std::string_view field,
                                   std::string_view token);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_PAGE_TOKEN_H_
