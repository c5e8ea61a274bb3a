// `leasehold-server url-keys`: replaces the secret keys of capability URLs.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_HOST_URL_KEYS_COMMAND_H_
#define LEASEHOLD_SERVICE_HOST_URL_KEYS_COMMAND_H_

#include <string>
#include <vector>

#include "lease/base/command_text.h"

namespace leasehold {

// Runs it with the arguments after `url-keys`. Returns the exit code: 0, done;
// 1, it could not be done, and standard error says why; 2, wrong usage.
int RunUrlKeysCommand(const std::vector<std::string>& arguments);

// Its commands and options, as its manual pages show them.
CommandText DescribeUrlKeys();

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_URL_KEYS_COMMAND_H_
