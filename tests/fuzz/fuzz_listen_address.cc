// Fuzzes ListenAddress::Parse: what it takes, it can say again; what it
// refuses, it refuses in one line.
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "service/host/listen_address.h"
#include "tests/fuzz/property.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using leasehold::ListenAddress;
  using leasehold::Property;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<ListenAddress> address = ListenAddress::Parse(text);
  if (!address.ok()) {
    Property(address.status().code() == absl::StatusCode::kInvalidArgument,
             "a refusal is INVALID_ARGUMENT");
    Property(address.status().message().find('\n') == absl::string_view::npos,
             "a refusal is one line");
    return 0;
  }
  Property(address->host.empty() == address->is_unix(),
           "an address has a host, or it has a path");
  Property(address->port >= 0 && address->port <= 65535, "a port has 16 bits");
  Property(address->unix_path.size() <= 107,
           "a path fits into a socket's name");
  const std::string said = address->ToString();
  const absl::StatusOr<ListenAddress> again = ListenAddress::Parse(said);
  Property(again.ok() && again->host == address->host &&
               again->port == address->port &&
               again->unix_path == address->unix_path,
           "an address reads back as it was");
  if (address->is_unix()) {
    Property(said == text, "a path stays as it is");
  } else {
    const std::string_view host = text.substr(0, text.rfind(':'));
    Property(host == address->host || host == "[" + address->host + "]",
             "a host stays as it is");
  }
  return 0;
}
