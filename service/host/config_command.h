// `leasehold-server config`: prints which settings are in force, and where each
// comes from.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_HOST_CONFIG_COMMAND_H_
#define LEASEHOLD_SERVICE_HOST_CONFIG_COMMAND_H_

#include <string>
#include <vector>

#include "lease/base/command_text.h"
#include "service/host/server_options.h"

namespace leasehold {

// Runs it with the arguments after `config`, which are those of the server.
// Returns the exit code: 0, done; 2, a setting is wrong, and standard error
// says which.
int RunConfigCommand(const std::vector<std::string>& arguments);

// What it prints: a heading, and a line a setting. Passwords in URLs are not
// shown.
std::string ConfigText(const ServerOptions& options);

// Its manual page.
CommandText DescribeConfig();

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_CONFIG_COMMAND_H_
