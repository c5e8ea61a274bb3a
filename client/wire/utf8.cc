#include "client/wire/utf8.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"

namespace leasehold::client {

absl::Status CheckUtf8(std::string_view what, std::string_view bytes) {
  if (IsUtf8(bytes)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      std::string(what), " ", QuoteForMessage(bytes), " is not UTF-8"));
}

}  // namespace leasehold::client
