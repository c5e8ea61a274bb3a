// PROXY headers, written out for tests.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_TESTS_NETWORK_PROXY_HEADERS_H_
#define LEASEHOLD_TESTS_NETWORK_PROXY_HEADERS_H_

#include <string>
#include <string_view>

namespace leasehold {

inline std::string TwoBytes(size_t number) {
  return {static_cast<char>(number >> 8), static_cast<char>(number)};
}

// Version 2: `rest` are addresses, ports and whatever a proxy adds.
inline std::string ProxyV2(char command, char family, std::string_view rest) {
  return std::string("\r\n\r\n\0\r\nQUIT\n", 12) + command + family +
         TwoBytes(rest.size()) + std::string(rest);
}

inline constexpr char kV2Local = 0x20;
inline constexpr char kV2Proxy = 0x21;
inline constexpr char kV2Tcp4 = 0x11;
inline constexpr char kV2Tcp6 = 0x21;

// From 203.0.113.7:4711 to 10.0.0.1:443, and then `more`.
inline std::string ProxyV2OfTcp4(std::string_view more = "") {
  return ProxyV2(kV2Proxy, kV2Tcp4,
                 std::string("\xCB\x00\x71\x07\x0A\x00\x00\x01", 8) +
                     TwoBytes(4711) + TwoBytes(443) + std::string(more));
}

// From 2001:db8::7 to ::1.
inline std::string ProxyV2OfTcp6() {
  return ProxyV2(kV2Proxy, kV2Tcp6,
                 std::string("\x20\x01\x0D\xB8", 4) + std::string(11, '\0') +
                     "\x07" + std::string(15, '\0') + "\x01" + TwoBytes(4711) +
                     TwoBytes(443));
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_NETWORK_PROXY_HEADERS_H_
