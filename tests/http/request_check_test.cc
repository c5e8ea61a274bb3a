#include "service/http/request_check.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace leasehold {
namespace {

constexpr std::string_view kHead =
    "GET / HTTP/1.1\r\nHost: a\r\nX: b c\tc\r\n\r\n";

int StatusOfBytes(std::string_view head) {
  const auto refusal = CheckBytes(head);
  return refusal.has_value() ? refusal->status : 200;
}

TEST(CheckBytes, AGoodHeadPassesHoweverItIsCut) {
  for (size_t i = 0; i <= kHead.size(); ++i) {
    EXPECT_EQ(StatusOfBytes(kHead.substr(0, i)), 200) << i;
    for (size_t from = 0; from <= i; ++from) {
      EXPECT_FALSE(CheckBytes(kHead.substr(0, i), from).has_value());
    }
  }
}

TEST(CheckBytes, ABadByteIsFoundAsSoonAsItIsThere) {
  for (const std::string_view bad :
       {"GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nA: b\n", "A: b\rc", "A: b\r\n ",
        "A: b\r\n\t", "\n"}) {
    EXPECT_EQ(StatusOfBytes(bad), 400) << bad;
    EXPECT_EQ(StatusOfBytes(bad.substr(0, bad.size() - 1)), 200) << bad;
    // Also if only the last byte is new.
    EXPECT_TRUE(CheckBytes(bad, bad.size() - 1).has_value()) << bad;
  }
  EXPECT_EQ(StatusOfBytes(std::string_view("A: \0", 4)), 400);
}

TEST(CheckBytes, OtherProtocolsAreNamed) {
  EXPECT_EQ(StatusOfBytes("\x16\x03\x01"), 400);
  EXPECT_EQ(StatusOfBytes("PRI * HTTP/2.0\r\n"), 505);
}

int StatusOf(HttpFields headers, std::string method = "GET",
             bool is_1_0 = false) {
  HttpRequest request;
  request.method = std::move(method);
  request.headers = std::move(headers);
  const auto refusal = CheckHead(request, is_1_0);
  return refusal.has_value() ? refusal->status : 200;
}

TEST(CheckHead, HostIsThereOnce) {
  EXPECT_EQ(StatusOf({{"Host", "a"}}), 200);
  EXPECT_EQ(StatusOf({}), 400);
  EXPECT_EQ(StatusOf({{"Host", "a"}, {"host", "a"}}), 400);
  EXPECT_EQ(StatusOf({}, "GET", true), 400);
}

TEST(CheckHead, TheEndOfABodyIsKnownInOneWay) {
  using Fields = HttpFields;
  EXPECT_EQ(StatusOf(Fields{{"Host", "a"}, {"Content-Length", "10"}}), 200);
  EXPECT_EQ(StatusOf(Fields{{"Host", "a"}, {"Transfer-Encoding", "Chunked"}}),
            200);
  for (const char* length : {"", "-1", "+1", "1 ", "0x1", "1,1"}) {
    EXPECT_EQ(StatusOf(Fields{{"Host", "a"}, {"Content-Length", length}}), 400)
        << length;
  }
  EXPECT_EQ(StatusOf(Fields{{"Host", "a"},
                            {"Content-Length", "1"},
                            {"Transfer-Encoding", "chunked"}}),
            400);
  for (const char* coding :
       {"", "xchunked", "gzip, chunked", "chunked,", "chunked x", "identity"}) {
    EXPECT_EQ(StatusOf(Fields{{"Host", "a"}, {"Transfer-Encoding", coding}}),
              501)
        << coding;
  }
  EXPECT_EQ(StatusOf(Fields{{"Host", "a"}, {"Transfer-Encoding", "chunked"}},
                     "GET", true),
            400);
}

TEST(CheckHead, MethodsAndExpectationsAreThoseThatAreKnown) {
  const HttpFields host = {{"Host", "a"}};
  EXPECT_EQ(StatusOf(host, "DELETE"), 200);
  for (const char* method : {"CONNECT", "TRACE", "get", "BREW", ""}) {
    EXPECT_EQ(StatusOf(host, method), 501) << method;
  }
  EXPECT_EQ(StatusOf({{"Host", "a"}, {"Expect", "100-Continue"}}), 200);
  EXPECT_EQ(StatusOf({{"Host", "a"}, {"Expect", "x"}}), 417);
}

}  // namespace
}  // namespace leasehold
