#include "lease/base/instance_id.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"

namespace leasehold {
namespace {

// Which bytes a text header carries: printable ASCII without blank and comma.
constexpr std::array<bool, 256> kTextHeaderBytes = [] {
  std::array<bool, 256> bytes{};
  for (unsigned char c = 0x21; c <= 0x7E; ++c) bytes[c] = c != ',';
  return bytes;
}();

}  // namespace

bool IsTextHeaderId(std::string_view id) {
  if (id.empty() || id.size() > kTextHeaderIdBytesMax) return false;
  // Without a branch for each byte: every call runs this.
  bool all = true;
  for (const unsigned char c : id) all &= kTextHeaderBytes[c];
  return all;
}

std::string NormalId(std::string id) {
  if (!id.starts_with('@')) return id;
  const size_t name_end = id.find('@', 1);
  if (name_end != std::string::npos) {
    std::transform(id.begin(), id.begin() + name_end, id.begin(),
                   absl::ascii_tolower);
  }
  return id;
}

}  // namespace leasehold
