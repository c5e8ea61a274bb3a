#include "service/instance/instance_headers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

absl::Status Broken(std::string_view header, absl::string_view rule,
                    std::string_view value) {
  return absl::InvalidArgumentError(
      absl::StrCat(View(header), ": ", rule, ": ", QuoteForMessage(value)));
}

bool IsMetadataKeyChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

// Headers that have another meaning, here or in HTTP/2 and gRPC.
constexpr std::array<std::string_view, 11> kTakenHeaders = {
    kIdleTimeoutHeader,
    kHeartbeatHeader,
    kExpectHeader,
    kCallChainHeader,
    kGenerationHeader,
    kCreatedHeader,
    kIdleTimeoutMsHeader,
    "user-agent",
    "content-type",
    "te",
    "host"};

}  // namespace

absl::StatusOr<InstanceHeaderNames> InstanceHeaderNames::Make(
    std::string_view name) {
  const auto broken = [name](absl::string_view rule) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the instance header's name ", rule, ": ", QuoteForMessage(name)));
  };
  if (name.empty() ||
      !std::all_of(name.begin(), name.end(), IsMetadataKeyChar)) {
    return broken("must be one or more of a-z, 0-9, '-', '_' and '.'");
  }
  if (absl::EndsWith(View(name), "-bin")) {
    return broken(
        "must not end in -bin: the binary header's name is derived from it");
  }
  if (absl::StartsWith(View(name), "grpc-") ||
      std::find(kTakenHeaders.begin(), kTakenHeaders.end(), name) !=
          kTakenHeaders.end()) {
    return broken("must not be a header that already has a meaning");
  }
  return InstanceHeaderNames{.text = std::string(name),
                             .binary = absl::StrCat(View(name), "-bin")};
}

void InstanceHeaderReader::Add(std::string_view name, std::string_view value) {
  if (name == names_.text) {
    text_id_.Take(value);
  } else if (name == names_.binary) {
    binary_id_.Take(value);
  } else if (name == kIdleTimeoutHeader) {
    idle_timeout_.Take(value);
  } else if (name == kExpectHeader) {
    expect_.Take(value);
  }
}

absl::Status InstanceHeaderReader::CheckCounts() const {
  const std::pair<std::string_view, const Seen&> all[] = {
      {names_.text, text_id_},
      {names_.binary, binary_id_},
      {kIdleTimeoutHeader, idle_timeout_},
      {kExpectHeader, expect_}};
  for (const auto& [name, seen] : all) {
    if (seen.count > 1) {
      return Broken(
          name,
          absl::StrCat("given ", seen.count,
                       " times; only once is allowed; the last value"),
          seen.value);
    }
  }
  if (text_id_.count + binary_id_.count > 1) {
    return Broken(names_.text,
                  absl::StrCat("given together with ", names_.binary,
                               "; use one of the two; the text value"),
                  text_id_.value);
  }
  return absl::OkStatus();
}

absl::StatusOr<InstanceRequest> InstanceHeaderReader::Finish(
    std::string_view tenant) const {
  if (absl::Status status = CheckCounts(); !status.ok()) return status;
  InstanceRequest request;
  if (text_id_.count == 0 && binary_id_.count == 0) {
    request.id_generated = true;
    request.key = {.tenant = std::string(tenant), .id = NewInstanceId()};
  } else {
    const bool text = text_id_.count > 0;
    const std::string_view header = text ? names_.text : names_.binary;
    const std::string_view id = text ? text_id_.value : binary_id_.value;
    if (text) {
      if (absl::Status s = CheckTextHeaderId(header, id); !s.ok()) return s;
      request.key = NormalKey(tenant, id);
    } else {
      absl::StatusOr<InstanceKey> key = MakeInstanceKey(tenant, id, header);
      if (!key.ok()) return key.status();
      request.key = *std::move(key);
    }
  }
  if (idle_timeout_.count > 0) {
    const absl::StatusOr<absl::Duration> timeout =
        ParseTimeout(kIdleTimeoutHeader, idle_timeout_.value);
    if (!timeout.ok()) return timeout.status();
    request.idle_timeout = *timeout;
  }
  if (expect_.count > 0) {
    if (expect_.value == "new") {
      request.expect = Expect::kNew;
    } else if (expect_.value == "existing") {
      request.expect = Expect::kExisting;
    } else {
      return Broken(kExpectHeader, "must be \"new\" or \"existing\"",
                    expect_.value);
    }
  }
  return request;
}

absl::Status CheckTextHeaderId(std::string_view header, std::string_view id) {
  if (IsTextHeaderId(id)) return absl::OkStatus();
  if (id.empty()) {
    return Broken(
        header, "the ID is empty; leave the header out to get a fresh ID", id);
  }
  if (id.size() > kTextHeaderIdBytesMax) {
    return Broken(header,
                  absl::StrCat("the ID has ", id.size(),
                               " bytes; a text header "
                               "accepts at most ",
                               kTextHeaderIdBytesMax, " (", View(header),
                               "-bin accepts ", kInstanceIdBytesMax, ")"),
                  id);
  }
  for (size_t i = 0; i < id.size(); ++i) {
    if (id[i] == ',') {
      return Broken(
          header,
          absl::StrCat("the ID contains a comma at byte ", i,
                       "; a text header must not, because proxies join "
                       "repeated headers with one (",
                       View(header), "-bin accepts any)"),
          id);
    }
    if (id[i] < 0x21 || id[i] > 0x7E) {
      return Broken(
          header,
          absl::StrFormat("the ID contains the byte 0x%02X at byte %d; a text "
                          "header accepts 0x21-0x7E (%s-bin accepts others)",
                          static_cast<unsigned char>(id[i]), i, View(header)),
          id);
    }
  }
  return absl::OkStatus();
}

}  // namespace leasehold
