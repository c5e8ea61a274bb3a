// The ID of an instance, as clients send it and servers know it: its one form,
// and the header that carries it.
//
// An ID of printable ASCII is sent as text (`instance-id`), any other as bytes
// (`instance-id-bin`). Which IDs are allowed at all is the server's decision
// (service/instance/instance_key.h).
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_LEASE_BASE_INSTANCE_ID_H_
#define LEASEHOLD_LEASE_BASE_INSTANCE_ID_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace leasehold {

inline constexpr size_t kTextHeaderIdBytesMax = 256;

// Whether `id` may stand in a text header: 1 to 256 bytes of 0x21-0x7E, without
// comma.
bool IsTextHeaderId(std::string_view id);

// `id` in its one form: of an entity ID (`@name@key`) the name is lower-cased.
std::string NormalId(std::string id);

// The beginning of an ID, as IDs in their one form begin.
std::string NormalIdPrefix(std::string prefix);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_INSTANCE_ID_H_
