#include "lease/base/instance_id.h"

#include <algorithm>
#include <array>
#include <utility>

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
  // A name without a key is not the name of an entity.
  if (id.find('@', 1) == std::string::npos) return id;
  return NormalIdPrefix(std::move(id));
}

std::string NormalIdPrefix(std::string prefix) {
  if (!prefix.starts_with('@')) return prefix;
  const size_t name_end = std::min(prefix.find('@', 1), prefix.size());
  std::transform(prefix.begin(), prefix.begin() + name_end, prefix.begin(),
                 absl::ascii_tolower);
  return prefix;
}

}  // namespace leasehold
