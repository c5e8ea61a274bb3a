// Fuzzes what a connection begins with: PROXY headers, HTTP/2, TLS. The bytes
// arrive one after the other, as they may; an answer that was given stays.
#include <algorithm>
#include <string>
#include <string_view>

#include "service/network/caller_addresses.h"
#include "service/network/first_bytes.h"
#include "tests/fuzz/property.h"

namespace {

using leasehold::FirstBytes;
using leasehold::PeerText;
using leasehold::Property;
using leasehold::ProxyHeader;
using leasehold::ReadFirstBytes;
using leasehold::ReadProxyHeader;
using State = ProxyHeader::State;

std::string CallerOf(const ProxyHeader& header) {
  return header.caller.has_value() ? PeerText(*header.caller) : "nobody";
}

// Whether `begin` may be a header, as the protocol describes it: written in
// another way than the program does it.
bool IsComplete(std::string_view begin) {
  if (begin.substr(0, 6) == "PROXY ") {
    const std::string_view line = begin.substr(0, begin.find("\r\n"));
    if (line.size() > 105 || line.size() + 2 > begin.size()) return false;
    return line.find('\n') == std::string_view::npos &&
           (line.starts_with("PROXY TCP4 ") ||
            line.starts_with("PROXY TCP6 ") ||
            line.starts_with("PROXY UNKNOWN"));
  }
  return begin.size() >= 16 && begin[4] == '\0' &&
         (begin[12] == 0x20 || begin[12] == 0x21) &&
         16u + static_cast<uint8_t>(begin[14]) * 256u +
                 static_cast<uint8_t>(begin[15]) <=
             begin.size();
}

void CheckHeader(std::string_view input) {
  const ProxyHeader all = ReadProxyHeader(input);
  if (all.state == State::kComplete) {
    Property(all.bytes > 0 && all.bytes <= input.size() &&
                 all.bytes <= leasehold::kProxyHeaderBytesMax,
             "a header is within what has arrived");
    Property(IsComplete(input), "it is one of the protocol's");
    Property(ReadProxyHeader(input.substr(0, all.bytes - 1)).state ==
                 State::kIncomplete,
             "without its last byte it is incomplete");
  }
  Property(all.caller.has_value() <= (all.state == State::kComplete),
           "only a header that is complete names its caller");
  if (all.state == State::kIncomplete) {
    Property(input.size() < leasehold::kProxyHeaderBytesMax,
             "nobody waits for a header that is too long");
  }
  bool known = false;
  const size_t looked_at = std::min<size_t>(input.size(), 300);
  for (size_t i = 0; i < looked_at; ++i) {
    const ProxyHeader some = ReadProxyHeader(input.substr(0, i));
    Property(!known || some.state != State::kIncomplete, "an answer stays");
    if (some.state == State::kIncomplete) continue;
    known = true;
    Property(some.state == all.state && some.bytes == all.bytes &&
                 CallerOf(some) == CallerOf(all),
             "more bytes change no answer");
  }
}

void CheckFirstBytes(std::string_view input, bool tls) {
  const FirstBytes all = ReadFirstBytes(input, tls);
  const std::string_view due =
      tls ? "\x16\x03" : "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  Property((all == FirstBytes::kExpected) == input.starts_with(due),
           "what is due is served, and nothing else");
  Property((all == FirstBytes::kIncomplete) ==
               (input.size() < due.size() && due.starts_with(input)),
           "what may become it is waited for");
  Property(
      ReadFirstBytes(input.substr(0, leasehold::kFirstBytesMax), tls) == all,
      "its first bytes are enough");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  CheckHeader(input);
  CheckFirstBytes(input, /*tls=*/false);
  CheckFirstBytes(input, /*tls=*/true);
  return 0;
}
