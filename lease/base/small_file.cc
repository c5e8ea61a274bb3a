#include "lease/base/small_file.h"

#include <cstddef>
#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace leasehold {

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  constexpr size_t kBytesMax = size_t{1} << 20;
  std::ifstream file(path, std::ios::binary);
  // A directory can be opened, but not read.
  if (!file || (file.peek(), file.bad())) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  }
  std::string text(kBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is larger than 1 MiB"));
  }
  return text;
}

}  // namespace leasehold
