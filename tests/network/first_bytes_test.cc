#include "service/network/first_bytes.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "service/network/caller_addresses.h"
#include "tests/network/proxy_headers.h"

namespace leasehold {
namespace {

using State = ProxyHeader::State;

constexpr char kNobody[] = "the proxy itself";

// Whom the header names, in words of gRPC. It must be complete at its last
// byte, and not before.
std::string CallerIn(const std::string& header) {
  for (size_t i = 0; i < header.size(); ++i) {
    EXPECT_EQ(ReadProxyHeader(header.substr(0, i)).state, State::kIncomplete)
        << i << " of " << header;
  }
  const ProxyHeader read = ReadProxyHeader(header + "PRI *");
  EXPECT_EQ(read.state, State::kComplete) << header;
  EXPECT_EQ(read.bytes, header.size()) << header;
  return read.caller.has_value() ? PeerText(*read.caller) : kNobody;
}

TEST(ProxyHeader, Version1NamesTheCaller) {
  EXPECT_EQ(CallerIn("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"),
            "ipv4:203.0.113.7:4711");
  EXPECT_EQ(CallerIn("PROXY TCP6 2001:db8::7 ::1 65535 0\r\n"),
            "ipv6:%5B2001:db8::7%5D:65535");
  EXPECT_EQ(CallerIn("PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n"),
            "ipv4:203.0.113.7:1");
  EXPECT_EQ(CallerIn("PROXY UNKNOWN\r\n"), kNobody);
  EXPECT_EQ(CallerIn("PROXY UNKNOWN whatever it adds\r\n"), kNobody);
}

TEST(ProxyHeader, Version2NamesTheCaller) {
  EXPECT_EQ(CallerIn(ProxyV2OfTcp4()), "ipv4:203.0.113.7:4711");
  EXPECT_EQ(CallerIn(ProxyV2OfTcp4(std::string(500, '\xFF'))),
            "ipv4:203.0.113.7:4711");
  EXPECT_EQ(CallerIn(ProxyV2OfTcp6()), "ipv6:%5B2001:db8::7%5D:4711");
  // LOCAL, with whatever addresses; no address; a Unix socket's.
  EXPECT_EQ(CallerIn(ProxyV2(kV2Local, 0, "")), kNobody);
  EXPECT_EQ(CallerIn(ProxyV2(kV2Local, kV2Tcp4, std::string(12, 'x'))),
            kNobody);
  EXPECT_EQ(CallerIn(ProxyV2(kV2Local, 0x7F, "x")), kNobody);
  EXPECT_EQ(CallerIn(ProxyV2(kV2Proxy, 0, "more")), kNobody);
  EXPECT_EQ(CallerIn(ProxyV2(kV2Proxy, 0x31, std::string(216, '/'))), kNobody);
}

TEST(ProxyHeader, OtherBytesAreNone) {
  for (const char* begin : {"G", "PRI * HTTP/2.0", "PROXX", "proxy TCP4",
                            "\x16\x03\x01", "\r\n\r\nX", " PROXY "}) {
    EXPECT_EQ(ReadProxyHeader(begin).state, State::kNone) << begin;
  }
}

TEST(ProxyHeader, MalformedOnesOfVersion1) {
  for (const char* line : {"\r\n",
                           "TCP4\r\n",
                           "TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
                           "tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
                           "UNKNOWNX\r\n",
                           "TCP4 1.2.3.4 1.2.3.4 1\r\n",
                           "TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
                           "TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
                           "TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
                           "TCP4 1.2.3 1.2.3.4 1 2\r\n",
                           "TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
                           "TCP4 1.2.3.4 host 1 2\r\n",
                           "TCP4 ::1 ::1 1 2\r\n",
                           "TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
                           "TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
                           "TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
                           "TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
                           "TCP4 1.2.3.4 1.2.3.4 1 +2\r\n",
                           "TCP4 1.2.3.4 1.2.3.4 1 2\n",
                           "TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n",
                           "\n"}) {
    EXPECT_EQ(ReadProxyHeader(std::string("PROXY ") + line).state,
              State::kMalformed)
        << line;
  }
  // 107 bytes with the end of the line are the most.
  EXPECT_EQ(
      ReadProxyHeader("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n").state,
      State::kComplete);
  EXPECT_EQ(
      ReadProxyHeader("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n").state,
      State::kMalformed);
  EXPECT_EQ(ReadProxyHeader("PROXY " + std::string(101, 'x')).state,
            State::kMalformed);
  EXPECT_EQ(ReadProxyHeader("PROXY " + std::string(100, 'x')).state,
            State::kIncomplete);
}

TEST(ProxyHeader, MalformedOnesOfVersion2) {
  const std::string twelve(12, 'x');
  for (const std::string& header :
       {ProxyV2(0x11, kV2Tcp4, twelve), ProxyV2(0x31, kV2Tcp4, twelve),
        ProxyV2(0x22, kV2Tcp4, twelve), ProxyV2(0x2F, kV2Tcp4, twelve),
        ProxyV2(kV2Proxy, kV2Tcp4, twelve.substr(1)),
        ProxyV2(kV2Proxy, kV2Tcp6, std::string(35, 'x')),
        ProxyV2(kV2Proxy, 0x31, std::string(215, 'x')),
        ProxyV2(kV2Proxy, 0x12, twelve), ProxyV2(kV2Proxy, 0x41, twelve),
        ProxyV2(kV2Proxy, 0x01, twelve),
        ProxyV2OfTcp4(std::string(kProxyHeaderBytesMax, 'x')),
        ProxyV2(kV2Local, 0, std::string(65535, 'x'))}) {
    // At its sixteenth byte: nobody waits for the rest.
    EXPECT_EQ(ReadProxyHeader(header.substr(0, 16)).state, State::kMalformed);
  }
  const size_t fixed = ProxyV2OfTcp4().size();
  EXPECT_EQ(ReadProxyHeader(
                ProxyV2OfTcp4(std::string(kProxyHeaderBytesMax - fixed, 'x')))
                .state,
            State::kComplete);
}

TEST(FirstBytes, AreHttp2OrTls) {
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (size_t i = 0; i < preface.size(); ++i) {
    EXPECT_EQ(ReadFirstBytes(preface.substr(0, i), false),
              FirstBytes::kIncomplete);
    std::string other = preface.substr(0, i) + "?";
    EXPECT_EQ(ReadFirstBytes(other, false), FirstBytes::kOther);
  }
  EXPECT_EQ(ReadFirstBytes(preface, false), FirstBytes::kExpected);
  EXPECT_EQ(ReadFirstBytes(preface + "x", false), FirstBytes::kExpected);
  EXPECT_EQ(ReadFirstBytes(preface, true), FirstBytes::kOther);
  EXPECT_EQ(ReadFirstBytes("\x16", true), FirstBytes::kIncomplete);
  EXPECT_EQ(ReadFirstBytes("\x16\x03\x01", true), FirstBytes::kExpected);
  EXPECT_EQ(ReadFirstBytes("\x16\x02", true), FirstBytes::kOther);
  EXPECT_EQ(ReadFirstBytes("\x16\x03", false), FirstBytes::kOther);
  for (const bool tls : {true, false}) {
    EXPECT_EQ(ReadFirstBytes("PROXY TCP4", tls), FirstBytes::kProxyHeader);
    EXPECT_EQ(ReadFirstBytes(ProxyV2OfTcp4(), tls), FirstBytes::kProxyHeader);
  }
}

}  // namespace
}  // namespace leasehold
