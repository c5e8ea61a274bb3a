#include "service/base/hash.h"

namespace leasehold {

uint64_t KeyHash(std::string_view tenant, std::string_view id) {
  char length[8];
  for (int i = 0; i < 8; ++i) {
    length[i] = static_cast<char>(uint64_t{tenant.size()} >> (8 * i));
  }
  uint64_t hash = HashBytes({length, sizeof(length)});
  hash = HashBytes(tenant, hash);
  return MixBits(HashBytes(id, hash));
}

}  // namespace leasehold
