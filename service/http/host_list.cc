#include "service/http/host_list.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

// A host in its one form.
struct Host {
  std::string name;
  bool is_address = false;
  bool is_loopback = false;
};

std::optional<Host> AddressOf(const std::string& text) {
  std::array<char, INET6_ADDRSTRLEN> shown = {};
  in_addr v4 = {};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    inet_ntop(AF_INET, &v4, shown.data(), shown.size());
    return Host{shown.data(), true, (ntohl(v4.s_addr) >> 24) == 127};
  }
  in6_addr v6 = {};
  if (inet_pton(AF_INET6, text.c_str(), &v6) == 1) {
    inet_ntop(AF_INET6, &v6, shown.data(), shown.size());
    return Host{shown.data(), true, IN6_IS_ADDR_LOOPBACK(&v6) != 0};
  }
  return std::nullopt;
}

bool IsNameByte(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
         c == '-' || c == '_';
}

// A name or an address, without port. nullopt: it is neither.
std::optional<Host> HostOf(std::string_view text) {
  const std::string lower = absl::AsciiStrToLower(View(text));
  if (std::optional<Host> address = AddressOf(lower)) return address;
  const std::string_view name =
      lower.ends_with('.') ? std::string_view(lower).substr(0, lower.size() - 1)
                           : std::string_view(lower);
  if (name.empty() || !std::all_of(name.begin(), name.end(), IsNameByte)) {
    return std::nullopt;
  }
  return Host{std::string(name), false, name == "localhost"};
}

bool IsPort(std::string_view text) {
  int port = 0;
  return text.size() <= 5 &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= '0' && c <= '9'; }) &&
         (text.empty() ||
          (absl::SimpleAtoi(View(text), &port) && port < 65536));
}

// The value of `Host`: with or without port, IPv6 addresses in brackets.
std::optional<Host> HostOfField(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && (rest.front() != ':' || !IsPort(rest.substr(1)))) {
      return std::nullopt;
    }
    const std::string address(text.substr(1, end - 1));
    in6_addr v6 = {};
    if (inet_pton(AF_INET6, address.c_str(), &v6) != 1) return std::nullopt;
    return HostOf(address);
  }
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos && !IsPort(text.substr(colon + 1))) {
    return std::nullopt;
  }
  return HostOf(text.substr(0, colon));
}

}  // namespace

HostList::HostList(std::vector<std::string> names, bool any_address)
    : any_address_(any_address) {
  for (const std::string& name : names) {
    if (std::optional<Host> host = HostOf(name)) {
      names_.push_back(std::move(host->name));
    }
  }
}

bool HostList::Allows(std::string_view host) const {
  const std::optional<Host> asked = HostOfField(host);
  if (!asked.has_value()) return false;
  if (asked->is_loopback || (asked->is_address && any_address_)) return true;
  return std::find(names_.begin(), names_.end(), asked->name) != names_.end();
}

}  // namespace leasehold
