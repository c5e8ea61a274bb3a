#include "client/worker/name_uuid.h"

#include <bit>
#include <cstddef>

namespace leasehold::worker::internal {
namespace {

using Digest = std::array<uint32_t, 5>;

// One block of 64 bytes of FIPS 180-4's SHA-1, which this version of UUID
// requires. Nothing here relies on its strength.
void AddBlock(const uint8_t* block, Digest& digest) {
  std::array<uint32_t, 80> words;
  for (size_t i = 0; i < 16; ++i) {
    words[i] = uint32_t{block[4 * i]} << 24 | uint32_t{block[4 * i + 1]} << 16 |
               uint32_t{block[4 * i + 2]} << 8 | uint32_t{block[4 * i + 3]};
  }
  for (size_t i = 16; i < words.size(); ++i) {
    words[i] = std::rotl(
        words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  }
  auto [a, b, c, d, e] = digest;
  for (size_t i = 0; i < words.size(); ++i) {
    uint32_t mixed = 0;
    if (i < 20) {
      mixed = ((b & c) | (~b & d)) + 0x5a827999;
    } else if (i < 40) {
      mixed = (b ^ c ^ d) + 0x6ed9eba1;
    } else if (i < 60) {
      mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    } else {
      mixed = (b ^ c ^ d) + 0xca62c1d6;
    }
    const uint32_t next = std::rotl(a, 5) + mixed + e + words[i];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  const Digest added = {a, b, c, d, e};
  for (size_t i = 0; i < digest.size(); ++i) digest[i] += added[i];
}

Digest Sha1(std::string text) {
  const uint64_t bits = uint64_t{text.size()} * 8;
  text += '\x80';
  while (text.size() % 64 != 56) text += '\0';
  for (int shift = 56; shift >= 0; shift -= 8) {
    text += static_cast<char>(bits >> shift);
  }
  Digest digest = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  const auto* const bytes = reinterpret_cast<const uint8_t*>(text.data());
  for (size_t at = 0; at < text.size(); at += 64) AddBlock(bytes + at, digest);
  return digest;
}

}  // namespace

std::string NameUuid(const Uuid& name_space, std::string_view name) {
  std::string text(name_space.begin(), name_space.end());
  const Digest digest = Sha1(text.append(name));
  Uuid uuid;
  for (size_t i = 0; i < uuid.size(); ++i) {
    uuid[i] = static_cast<uint8_t>(digest[i / 4] >> (24 - i % 4 * 8));
  }
  uuid[6] = (uuid[6] & 0x0f) | 0x50;  // Version 5.
  uuid[8] = (uuid[8] & 0x3f) | 0x80;  // The variant.
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string dashed;
  for (size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) dashed += '-';
    dashed += kDigits[uuid[i] >> 4];
    dashed += kDigits[uuid[i] & 15];
  }
  return dashed;
}

}  // namespace leasehold::worker::internal
