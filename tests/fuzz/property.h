// Property: what must hold for every input; if it does not, the fuzzer stops.
//
// Thread-safety: safe.   Lifetime: nothing is kept.
#ifndef LEASEHOLD_TESTS_FUZZ_PROPERTY_H_
#define LEASEHOLD_TESTS_FUZZ_PROPERTY_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace leasehold {

// Ends the program, with the sentence that does not hold.
inline void Property(bool holds, const char* sentence) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", sentence);
  std::abort();
}

// Valid UTF-8 without control characters (U+0000-1F, U+007F-9F). Written from
// Unicode's table 3-7 of well-formed sequences, byte range by byte range: not
// the way the program does it.
inline bool IsCleanUtf8(std::string_view text) {
  struct Row {
    uint8_t lead_low, lead_high, second_low, second_high;
    size_t length;
  };
  constexpr Row kRows[] = {
      {0x20, 0x7E, 0, 0, 1},       {0xC2, 0xC2, 0xA0, 0xBF, 2},
      {0xC3, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
      {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3},
      {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
      {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  for (size_t at = 0; at < text.size();) {
    const Row* row = nullptr;
    for (const Row& r : kRows) {
      if (byte(at) >= r.lead_low && byte(at) <= r.lead_high) row = &r;
    }
    if (row == nullptr || text.size() - at < row->length) return false;
    if (row->length > 1 &&
        (byte(at + 1) < row->second_low || byte(at + 1) > row->second_high)) {
      return false;
    }
    for (size_t i = 2; i < row->length; ++i) {
      if (byte(at + i) < 0x80 || byte(at + i) > 0xBF) return false;
    }
    at += row->length;
  }
  return true;
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_FUZZ_PROPERTY_H_
