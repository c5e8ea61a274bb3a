#include "service/http/request_check.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

// Those that some route may have; of others nobody here knows what they mean.
constexpr std::array<std::string_view, 7> kMethods = {
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

HttpRefusal Bad(std::string why) {
  return {400, absl::InvalidArgumentError(why)};
}

HttpRefusal NotImplemented(std::string why) {
  return {501, absl::UnimplementedError(why)};
}

std::optional<HttpRefusal> CheckFraming(const HttpFields& fields, bool is_1_0) {
  const std::vector<std::string_view> lengths = fields.All("Content-Length");
  const std::vector<std::string_view> codings = fields.All("Transfer-Encoding");
  if (lengths.size() > 1) return Bad("there is more than one Content-Length");
  if (!lengths.empty() &&
      (lengths[0].empty() ||
       lengths[0].find_first_not_of("0123456789") != std::string_view::npos)) {
    return Bad("Content-Length is not a number");
  }
  if (codings.empty()) return std::nullopt;
  if (!lengths.empty()) {
    return Bad("there is a Content-Length beside Transfer-Encoding");
  }
  if (is_1_0) return Bad("HTTP/1.0 has no Transfer-Encoding");
  if (codings.size() > 1 ||
      !absl::EqualsIgnoreCase(View(codings[0]), "chunked")) {
    return NotImplemented(absl::StrCat("the Transfer-Encoding ",
                                       QuoteForMessage(codings[0]),
                                       " is not known; only chunked is"));
  }
  return std::nullopt;
}

}  // namespace

std::optional<HttpRefusal> CheckBytes(std::string_view head, size_t from) {
  if (head.starts_with('\x16')) {
    return Bad("this is a TLS handshake, and the server does not encrypt here");
  }
  if (head.starts_with("PRI * HTTP/2")) {
    return HttpRefusal{505, absl::UnimplementedError(
                                "this is HTTP/2, and here is HTTP/1.1; gRPC "
                                "has a port of its own (--listen)")};
  }
  // What is wrong with a byte may only show in the one after it.
  for (size_t i = from > 0 ? from - 1 : 0; i < head.size(); ++i) {
    const char c = head[i];
    const bool is_last = i + 1 == head.size();
    if (c == '\0') return Bad("the head of the request holds a NUL");
    if (c == '\n' && (i == 0 || head[i - 1] != '\r')) {
      return Bad("a line of the request's head does not end in CR LF");
    }
    if (c == '\r' && !is_last && head[i + 1] != '\n') {
      return Bad("the head of the request holds a CR without LF");
    }
    if (c == '\n' && !is_last && (head[i + 1] == ' ' || head[i + 1] == '\t')) {
      return Bad("a header field goes on in the next line");
    }
  }
  return std::nullopt;
}

std::optional<HttpRefusal> CheckHead(const HttpRequest& request, bool is_1_0) {
  if (std::find(kMethods.begin(), kMethods.end(), request.method) ==
      kMethods.end()) {
    return NotImplemented(absl::StrCat(
        "the method ", QuoteForMessage(request.method), " is not known"));
  }
  const std::vector<std::string_view> hosts = request.headers.All("Host");
  if (hosts.size() != 1) {
    return Bad(hosts.empty() ? "the header Host is missing"
                             : "there is more than one Host");
  }
  if (auto refusal = CheckFraming(request.headers, is_1_0)) return refusal;
  const auto expected = request.headers.Find("Expect");
  if (expected.has_value() &&
      !absl::EqualsIgnoreCase(View(*expected), "100-continue")) {
    return HttpRefusal{417, absl::InvalidArgumentError(absl::StrCat(
                                "Expect: ", QuoteForMessage(*expected),
                                " is not known; only 100-continue is"))};
  }
  return std::nullopt;
}

}  // namespace leasehold
