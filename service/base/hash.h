// Hashes that are the same in every process: they may be stored, and sent.
//
// absl::Hash has another seed in each process; use it for tables in memory.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_BASE_HASH_H_
#define LEASEHOLD_SERVICE_BASE_HASH_H_

#include <cstdint>
#include <string_view>

namespace leasehold {

// FNV-1a, 64 bits. To hash several texts as one, pass on the result so far.
constexpr uint64_t HashBytes(std::string_view bytes,
                             uint64_t hash = 0xcbf29ce484222325) {
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  return hash;
}

// Mixes all bits of a number (the finaliser of MurmurHash3): a bijection.
constexpr uint64_t MixBits(uint64_t n) {
  n = (n ^ (n >> 33)) * 0xff51afd7ed558ccd;
  n = (n ^ (n >> 33)) * 0xc4ceb9fe1a85ec53;
  return n ^ (n >> 33);
}

// The hash of a key: FNV-1a of the tenant's length (8 bytes, little-endian),
// the tenant and the ID, then mixed. It is part of file formats and decides
// which partition has the key: it never changes.
uint64_t KeyHash(std::string_view tenant, std::string_view id);

// The bucket of a key, by its hash: partitions are ranges of buckets.
inline constexpr int kBuckets = 4096;
constexpr int BucketOf(uint64_t key_hash) {
  return static_cast<int>(key_hash >> 52);
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_HASH_H_
