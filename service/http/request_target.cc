#include "service/http/request_target.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lease/base/quote.h"
#include "lease/base/utf8.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

// The value of a hexadecimal digit; -1: it is none.
int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

absl::StatusOr<std::string> PercentDecode(std::string_view text,
                                          bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded += ' ';
      continue;
    }
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 1 < text.size() ? HexValue(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the request target holds ", QuoteForMessage(text.substr(i, 3)),
          ", which is not a percent sign with two hexadecimal digits; a "
          "percent "
          "sign itself is %25"));
    }
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (decoded.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("the request target holds a NUL (%00)");
  }
  if (!IsUtf8(decoded)) {
    return absl::InvalidArgumentError(
        "the request target is not UTF-8 when it is decoded");
  }
  return decoded;
}

absl::Status CheckForm(std::string_view target) {
  if (!target.starts_with('/')) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the request target ", QuoteForMessage(target),
        " does not begin with a slash: send a path, such as /healthz, and the "
        "host in Host"));
  }
  if (target.find('#') != std::string_view::npos) {
    return absl::InvalidArgumentError(
        "the request target holds a #; as part of an ID it is %23");
  }
  const bool blank = std::any_of(target.begin(), target.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte == 0x7f;
  });
  if (blank) {
    return absl::InvalidArgumentError(
        "the request target holds a blank or a control character");
  }
  return absl::OkStatus();
}

absl::Status ParseQuery(std::string_view text, HttpFields& query) {
  for (const absl::string_view part : absl::StrSplit(View(text), '&')) {
    if (part.empty()) continue;
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    auto name = PercentDecode({pair.first.data(), pair.first.size()}, true);
    if (!name.ok()) return name.status();
    auto value = PercentDecode({pair.second.data(), pair.second.size()}, true);
    if (!value.ok()) return value.status();
    query.Add(*std::move(name), *std::move(value));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseTarget(std::string_view target, HttpRequest& request) {
  if (absl::Status status = CheckForm(target); !status.ok()) return status;
  const size_t mark = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, mark);
  std::vector<std::string> segments;
  for (const absl::string_view part :
       absl::StrSplit(View(path.substr(1)), '/')) {
    auto segment = PercentDecode({part.data(), part.size()}, false);
    if (!segment.ok()) return segment.status();
    segments.push_back(*std::move(segment));
  }
  HttpFields query;
  if (mark < target.size()) {
    absl::Status status = ParseQuery(target.substr(mark + 1), query);
    if (!status.ok()) return status;
  }
  request.target = std::string(target);
  request.path = std::string(path);
  request.segments = std::move(segments);
  request.query = std::move(query);
  return absl::OkStatus();
}

std::string PercentEncode(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

}  // namespace leasehold
