// ConfigFile: the settings that a file of `name = value` lines gives.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_HOST_CONFIG_FILE_H_
#define LEASEHOLD_SERVICE_HOST_CONFIG_FILE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/host/setting.h"

namespace leasehold {

struct ConfigFile {
  std::string path;  // Empty: there is none.
  // As they stand there, by name. A setting that is given twice has two.
  std::map<std::string, std::vector<std::string>> values;
  // In which line of the file each stands, counted from 1; the last, if in
  // more.
  std::map<std::string, int> lines;
};

// The file at `path`, or else the one that LEASEHOLD_CONFIG names.
//   InvalidArgument: it cannot be read, is no such file, or has something that
//     is not one of `settings`.
absl::StatusOr<ConfigFile> ReadConfigFile(std::string path,
                                          const std::vector<Setting>& settings);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_CONFIG_FILE_H_
