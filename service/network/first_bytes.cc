#include "service/network/first_bytes.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
static_assert(kPreface.size() <= kFirstBytesMax);
// A record of a handshake, of TLS 1.0 or later (RFC 8446, 5.1).
constexpr std::string_view kTlsHandshake = "\x16\x03";

constexpr std::string_view kVersion1 = "PROXY ";
// With its end of line.
constexpr size_t kVersion1BytesMax = 107;
constexpr std::string_view kVersion2("\r\n\r\n\0\r\nQUIT\n", 12);
// Signature, version and command, family, and the length of what follows.
constexpr size_t kVersion2FixedBytes = 16;

using State = ProxyHeader::State;

// Whether one begins as the other does.
bool AgreesWith(std::string_view begin, std::string_view wanted) {
  const size_t both = std::min(begin.size(), wanted.size());
  return begin.substr(0, both) == wanted.substr(0, both);
}

sockaddr_storage Address4(const void* address, uint16_t port) {
  sockaddr_storage made = {};
  auto& v4 = reinterpret_cast<sockaddr_in&>(made);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  std::memcpy(&v4.sin_addr, address, sizeof(v4.sin_addr));
  return made;
}

sockaddr_storage Address6(const void* address, uint16_t port) {
  sockaddr_storage made = {};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(made);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, address, sizeof(v6.sin6_addr));
  return made;
}

// ---- Version 1 --------------------------------------------------------------

// A port as the protocol has it: no sign, no zero in front.
std::optional<uint16_t> PortOf(const std::string& text) {
  uint32_t port = 0;
  if (text.empty() || text.size() > 5 ||
      text.find_first_not_of("0123456789") != std::string::npos ||
      (text.size() > 1 && text[0] == '0') || !absl::SimpleAtoi(text, &port) ||
      port > UINT16_MAX) {
    return std::nullopt;
  }
  return static_cast<uint16_t>(port);
}

// `TCP4 SOURCE DESTINATION SOURCE_PORT DESTINATION_PORT`; nullopt: it is not.
std::optional<sockaddr_storage> CallerOf(std::string_view line) {
  const std::vector<std::string> words = absl::StrSplit(View(line), ' ');
  if (words.size() != 5) return std::nullopt;
  const bool v4 = words[0] == "TCP4";
  if (!v4 && words[0] != "TCP6") return std::nullopt;
  std::array<unsigned char, sizeof(in6_addr)> source = {};
  std::array<unsigned char, sizeof(in6_addr)> destination = {};
  const int family = v4 ? AF_INET : AF_INET6;
  const std::optional<uint16_t> port = PortOf(words[3]);
  if (inet_pton(family, words[1].c_str(), source.data()) != 1 ||
      inet_pton(family, words[2].c_str(), destination.data()) != 1 ||
      !port.has_value() || !PortOf(words[4]).has_value()) {
    return std::nullopt;
  }
  return v4 ? Address4(source.data(), *port) : Address6(source.data(), *port);
}

ProxyHeader ReadVersion1(std::string_view begin) {
  const size_t end = begin.substr(0, kVersion1BytesMax).find('\n');
  if (end == std::string_view::npos) {
    return {.state = begin.size() < kVersion1BytesMax ? State::kIncomplete
                                                      : State::kMalformed};
  }
  std::string_view line = begin.substr(0, end);
  line.remove_prefix(kVersion1.size());
  if (!line.ends_with('\r')) return {.state = State::kMalformed};
  line.remove_suffix(1);
  ProxyHeader header = {.state = State::kComplete, .bytes = end + 1};
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return header;
  header.caller = CallerOf(line);
  if (!header.caller.has_value()) return {.state = State::kMalformed};
  return header;
}

// ---- Version 2 --------------------------------------------------------------

size_t TwoBytesAt(std::string_view begin, size_t at) {
  return static_cast<size_t>(static_cast<unsigned char>(begin[at]) << 8 |
                             static_cast<unsigned char>(begin[at + 1]));
}

ProxyHeader ReadVersion2(std::string_view begin) {
  if (begin.size() < kVersion2FixedBytes) return {};
  constexpr char kLocal = 0x20;
  constexpr char kProxy = 0x21;
  const char command = begin[12];
  const char family = begin[13];
  const size_t bytes = kVersion2FixedBytes + TwoBytesAt(begin, 14);
  if ((command != kLocal && command != kProxy) ||
      bytes > kProxyHeaderBytesMax) {
    return {.state = State::kMalformed};
  }
  // Source, destination, and their ports.
  constexpr char kUnspecified = 0x00;
  constexpr char kTcp4 = 0x11;
  constexpr char kTcp6 = 0x21;
  constexpr char kUnixStream = 0x31;
  const size_t due = command == kLocal       ? 0
                     : family == kTcp4       ? 12
                     : family == kTcp6       ? 36
                     : family == kUnixStream ? 216
                                             : 0;
  if (bytes < kVersion2FixedBytes + due ||
      (command == kProxy && due == 0 && family != kUnspecified)) {
    return {.state = State::kMalformed};
  }
  if (begin.size() < bytes) return {};
  ProxyHeader header = {.state = State::kComplete, .bytes = bytes};
  if (command == kLocal) return header;
  const char* addresses = begin.data() + kVersion2FixedBytes;
  const auto port_at = [begin](size_t at) {
    return static_cast<uint16_t>(TwoBytesAt(begin, kVersion2FixedBytes + at));
  };
  if (family == kTcp4) header.caller = Address4(addresses, port_at(8));
  if (family == kTcp6) header.caller = Address6(addresses, port_at(32));
  return header;
}

}  // namespace

ProxyHeader ReadProxyHeader(std::string_view begin) {
  for (const bool first : {true, false}) {
    const std::string_view signature = first ? kVersion1 : kVersion2;
    if (!AgreesWith(begin, signature)) continue;
    if (begin.size() < signature.size()) return {};
    return first ? ReadVersion1(begin) : ReadVersion2(begin);
  }
  return {.state = State::kNone};
}

FirstBytes ReadFirstBytes(std::string_view begin, bool tls) {
  const std::string_view due = tls ? kTlsHandshake : kPreface;
  if (AgreesWith(begin, due)) {
    return begin.size() < due.size() ? FirstBytes::kIncomplete
                                     : FirstBytes::kExpected;
  }
  return begin.starts_with(kVersion1) || begin.starts_with(kVersion2)
             ? FirstBytes::kProxyHeader
             : FirstBytes::kOther;
}

}  // namespace leasehold
