// HostList: the names by which clients may call the server, in `Host`.
//
// A web page can have its own name point at 127.0.0.1, and its scripts then
// talk to whatever listens there as if it were theirs (DNS rebinding). The name
// that they send is the page's. So a request with a name that is not known here
// is refused. Addresses cannot be pointed elsewhere; those of loopback are
// always allowed.
//
// Thread-safety: values that do not change.
#ifndef LEASEHOLD_SERVICE_HTTP_HOST_LIST_H_
#define LEASEHOLD_SERVICE_HTTP_HOST_LIST_H_

#include <string>
#include <string_view>
#include <vector>

namespace leasehold {

class HostList {
 public:
  // `names`: names or addresses, without ports, IPv6 addresses without
  // brackets. `any_address`: every IP address is allowed, since the server
  // listens on all that the machine has.
  HostList(std::vector<std::string> names, bool any_address);

  // Whether a request with this `Host` is for us; a port does not count, since
  // forwarding changes it.
  bool Allows(std::string_view host) const;

 private:
  std::vector<std::string> names_;  // In their one form.
  bool any_address_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_HOST_LIST_H_
