// NameUuid: the UUID of a name, the same each time (RFC 4122, version 5).
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_WORKER_NAME_UUID_H_
#define LEASEHOLD_CLIENT_WORKER_NAME_UUID_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace leasehold::worker::internal {

using Uuid = std::array<uint8_t, 16>;

// As text, with dashes.
std::string NameUuid(const Uuid& name_space, std::string_view name);

}  // namespace leasehold::worker::internal

#endif  // LEASEHOLD_CLIENT_WORKER_NAME_UUID_H_
