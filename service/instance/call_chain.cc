#include "service/instance/call_chain.h"

#include <openssl/rand.h>

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lease/base/header_names.h"
#include "lease/base/view.h"
#include "service/base/invariant.h"

namespace leasehold {
namespace {

// 16 bytes in the web-safe alphabet, without the padding.
constexpr size_t kLinkChars = 22;

absl::Status Broken(absl::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat(View(kCallChainHeader), ": ", rule));
}

}  // namespace

CallChain::Link CallChain::NewLink() {
  Link link;
  if (RAND_bytes(link.data(), static_cast<int>(link.size())) != 1) {
    BreakInvariant("the system has random bytes");
  }
  return link;
}

absl::StatusOr<CallChain> CallChain::Parse(std::string_view header) {
  CallChain chain;
  if (header.empty()) return chain;
  for (;;) {
    const std::string_view text = header.substr(0, header.find('.'));
    if (chain.full()) {
      return Broken(absl::StrCat("more than ", kLinksMax, " links"));
    }
    // The value is not repeated: it is as good as a password.
    std::string bytes;
    if (text.size() != kLinkChars ||
        !absl::WebSafeBase64Unescape(View(text), &bytes) ||
        bytes.size() != Link().size()) {
      return Broken(absl::StrCat("link ", chain.links_.size() + 1,
                                 " is not one that a server handed out"));
    }
    Link link;
    std::copy(bytes.begin(), bytes.end(), link.begin());
    chain.Add(link);
    if (text.size() == header.size()) return chain;
    header.remove_prefix(text.size() + 1);
  }
}

bool CallChain::Has(const Link& link) const {
  return std::find(links_.begin(), links_.end(), link) != links_.end();
}

std::string CallChain::header() const {
  std::string header;
  for (const Link& link : links_) {
    const absl::string_view bytes(reinterpret_cast<const char*>(link.data()),
                                  link.size());
    std::string text = absl::WebSafeBase64Escape(bytes);
    while (!text.empty() && text.back() == '=') text.pop_back();
    absl::StrAppend(&header, header.empty() ? "" : ".", text);
  }
  return header;
}

}  // namespace leasehold
