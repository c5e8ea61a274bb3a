#include "service/network/address_range.h"

#include <arpa/inet.h>

#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

// How many bits a mapped IPv4 address has before its own.
constexpr int kMappedBits = 96;

in6_addr Mapped(const in_addr& v4) {
  in6_addr mapped = {};
  mapped.s6_addr[10] = mapped.s6_addr[11] = 0xFF;
  std::memcpy(&mapped.s6_addr[12], &v4, sizeof(v4));
  return mapped;
}

// The first `bits` of `address`; zeros behind them.
in6_addr FirstBits(in6_addr address, int bits) {
  for (int i = 0; i < 16; ++i) {
    const int kept = bits - 8 * i;
    if (kept >= 8) continue;
    const int mask = kept <= 0 ? 0 : 0xFF << (8 - kept);
    address.s6_addr[i] &= static_cast<uint8_t>(mask);
  }
  return address;
}

bool IsSame(const in6_addr& a, const in6_addr& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

}  // namespace

absl::StatusOr<AddressRange> AddressRange::Parse(std::string_view text) {
  const auto bad = [text](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        QuoteForMessage(text), " ", why,
        "; use an address such as 10.0.0.7, or ADDRESS/PREFIX such as "
        "10.0.0.0/8"));
  };
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  in_addr v4 = {};
  in6_addr first = {};
  int bits_max = 128;
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    first = Mapped(v4);
    bits_max = 32;
  } else if (inet_pton(AF_INET6, address.c_str(), &first) != 1) {
    return bad("does not begin with an IP address");
  }
  int bits = bits_max;
  if (slash != std::string_view::npos) {
    const std::string_view prefix = text.substr(slash + 1);
    if (prefix.find_first_not_of("0123456789") != std::string_view::npos ||
        !absl::SimpleAtoi(View(prefix), &bits) || bits > bits_max) {
      return bad(absl::StrCat("has a prefix that is not a number from 0 to ",
                              bits_max));
    }
  }
  if (bits_max == 32) bits += kMappedBits;
  if (!IsSame(FirstBits(first, bits), first)) {
    return bad("has bits set behind its prefix");
  }
  return AddressRange(first, bits);
}

bool AddressRange::Contains(const sockaddr_storage& address) const {
  in6_addr asked = {};
  if (address.ss_family == AF_INET) {
    asked = Mapped(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  } else if (address.ss_family == AF_INET6) {
    asked = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  } else {
    return false;
  }
  return IsSame(FirstBits(asked, prefix_), first_);
}

}  // namespace leasehold
