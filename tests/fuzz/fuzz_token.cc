// Fuzzes tokens: the input is a token file and, after a zero byte, a token that
// somebody shows.
#include <cstdint>
#include <string>
#include <string_view>

#include "service/security/policy.h"
#include "service/security/token_table.h"
#include "tests/fuzz/property.h"

namespace {

using leasehold::MakeToken;
using leasehold::NewToken;
using leasehold::Property;
using leasehold::TokenTable;

// A token that is in every file.
const NewToken& Known() {
  static const auto& known =
      *new NewToken(MakeToken("shop", absl::InfiniteFuture()));
  return known;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const std::string text = input.substr(0, zero);
  const std::string shown =
      zero == std::string::npos ? "" : input.substr(zero + 1);
  const auto table = TokenTable::Parse(Known().line + text);
  if (!table.ok()) {
    Property(absl::IsInvalidArgument(table.status()),
             "a refusal is INVALID_ARGUMENT");
    Property(table.status().message().find('\n') == absl::string_view::npos,
             "a refusal is one line");
    return 0;
  }
  for (const auto& [id, entry] : table->entries()) {
    Property(leasehold::IsPolicyName(entry.identity), "a token is somebody's");
  }
  // Nobody knows what has one of these hashes.
  Property(table->Find(shown) == nullptr, "no token is guessed");
  const auto* found = table->Find(Known().token);
  Property(found != nullptr && found->identity == "shop",
           "a token that was given out is found");
  std::string forged = Known().token;
  forged[size % forged.size()] ^= 1;
  Property(table->Find(forged) == nullptr, "each letter counts");
  Property(table->Find(Known().token + shown) == nullptr || shown.empty(),
           "nothing follows a token");
  return 0;
}
