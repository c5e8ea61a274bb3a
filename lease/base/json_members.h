// FindDuplicateMember: what a parser of JSON keeps silent about.
//
// An object may have two members of one name, and parsers take the last one:
// whoever reads the file sees the first. Where a file decides who may do what,
// that is refused.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_LEASE_BASE_JSON_MEMBERS_H_
#define LEASEHOLD_LEASE_BASE_JSON_MEMBERS_H_

#include <optional>
#include <string>
#include <string_view>

namespace leasehold {

// The first member of an object whose name another member before it has, as
// people write it: `tenants.acme`, `jwt[0].role_map`. nullopt: there is none as
// far as `text` is JSON; whether all of it is, the parser says.
std::optional<std::string> FindDuplicateMember(std::string_view text);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_JSON_MEMBERS_H_
