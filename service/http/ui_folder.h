// UiFolder: the dashboard's files in a folder, for those who change them: a
// file is read each time that somebody asks for it.
//
// It gives out nothing but plain files that lie in the folder itself, are no
// links, and have a type that the dashboard has.
//
// Thread-safety: safe. Reading blocks for a moment.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_HTTP_UI_FOLDER_H_
#define LEASEHOLD_SERVICE_HTTP_UI_FOLDER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace leasehold {

class UiFolder {
 public:
  static constexpr size_t kFileBytesMax = size_t{4} << 20;

  explicit UiFolder(std::string path) : path_(std::move(path)) {}

  // OK: it has the page that all others are made from.
  //   InvalidArgument: it has not.
  absl::Status Check() const;

  struct File {
    std::string bytes;
    std::string etag;  // With its quotation marks.
  };
  //   NotFound: it has no such file, or none that it gives out.
  absl::StatusOr<File> Read(std::string_view name) const;

 private:
  std::string path_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_UI_FOLDER_H_
