// DescribeServer: the settings of leasehold-server as its manual pages and its
// completions show them. They come from the table in server_options.cc.
#ifndef LEASEHOLD_SERVICE_HOST_SERVER_TEXT_H_
#define LEASEHOLD_SERVICE_HOST_SERVER_TEXT_H_

#include "lease/base/command_text.h"

namespace leasehold {

// With the defaults of no machine in particular, and without the commands that
// have files of their own (check, token, url-keys).
CommandText DescribeServer();

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVER_TEXT_H_
