// HttpOptions: the settings of the listener for HTTP.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_HOST_HTTP_OPTIONS_H_
#define LEASEHOLD_SERVICE_HOST_HTTP_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/host/listen_address.h"
#include "service/host/setting.h"
#include "service/network/address_range.h"

namespace leasehold {

struct HttpOptions {
  bool off = false;
  // Empty: the default address, without which the server serves all the same.
  std::vector<ListenAddress> listen;
  std::string public_url;  // Without a slash at the end.
  std::vector<std::string> hosts;
  std::vector<AddressRange> proxies;
  absl::Duration url_lifetime = absl::Hours(7 * 24);
  std::string url_keys;  // Empty: those in the data directory.
  std::string assets;    // Empty: the dashboard's files in the program.
};

// They write to `options`.
std::vector<Setting> HttpSettings(HttpOptions& options);

//   InvalidArgument: it listens beyond this machine without encryption, and
//     nobody has said that it may; or the dashboard's files are not where it
//     says. The message names the flag.
absl::Status CheckHttp(const HttpOptions& options, bool insecure,
                       bool uses_tls);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_HTTP_OPTIONS_H_
