#include "client/cli/bounded_input.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/cli/printable.h"
#include "client/cli/usage.h"

namespace leasehold::client::cli {
namespace {

constexpr size_t kPortionBytes = size_t{64} << 10;
constexpr size_t kMiB = size_t{1} << 20;

UsageError CannotRead(const std::string& what, const std::string& path,
                      std::string_view why) {
  return UsageError(absl::StrCat(what, ": cannot read ", Printable(path), ": ",
                                 std::string(why)));
}

}  // namespace

std::string ReadBounded(const std::string& what, std::istream& stream,
                        size_t bytes_max) {
  std::string all;
  while (stream) {
    const size_t before = all.size();
    // Reads one byte more than allowed, to see whether there is more.
    const size_t portion = std::min(kPortionBytes, bytes_max + 1 - before);
    all.resize(before + portion);
    stream.read(all.data() + before, static_cast<std::streamsize>(portion));
    all.resize(before + static_cast<size_t>(stream.gcount()));
    if (all.size() > bytes_max) {
      throw UsageError(
          absl::StrCat(what, " is larger than ", bytes_max / kMiB, " MiB"));
    }
  }
  if (stream.bad()) throw UsageError(absl::StrCat(what, ": cannot be read"));
  return all;
}

std::string ReadBoundedFile(const std::string& what, const std::string& path,
                            size_t bytes_max) {
  std::error_code error;
  // A directory can be opened, but not read.
  if (std::filesystem::is_directory(path, error)) {
    throw CannotRead(what, path, "it is a directory");
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw CannotRead(what, path, std::strerror(errno));
  return ReadBounded(absl::StrCat(what, ": ", Printable(path)), file,
                     bytes_max);
}

}  // namespace leasehold::client::cli
