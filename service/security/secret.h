// RandomBytes and HashOf: what secrets are made of, and what is kept of them.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_SECURITY_SECRET_H_
#define LEASEHOLD_SERVICE_SECURITY_SECRET_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace leasehold {

// From the system's generator; ends the process if it has none.
std::string RandomBytes(size_t count);

// SHA-256: enough for what has 256 random bits, and cheap.
using SecretHash = std::array<unsigned char, 32>;
SecretHash HashOf(std::string_view secret);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_SECRET_H_
