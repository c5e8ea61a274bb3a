// TemporaryDirectory: a new directory, deleted with its contents at the end.
//
// Thread-safety: safe.   Lifetime: the directory's is the object's.
#ifndef LEASEHOLD_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_
#define LEASEHOLD_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_

#include <cstdlib>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace leasehold {

class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_(testing::TempDir() + "leasehold-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_
