// ErrorText: errors in the words of whoever reads them at the command line.
//
// The library and the server speak of channels and of the fields of requests;
// the command line has an address and options.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_CLIENT_CLI_ERROR_TEXT_H_
#define LEASEHOLD_CLIENT_CLI_ERROR_TEXT_H_

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"

namespace leasehold::client::cli {

// The message of an error. Of a server that cannot be reached: `cannot reach a
// Leasehold server at localhost:4001 (connection refused)`.
std::string InPlainWords(const absl::Status& error);

// The same for an error of `command`: with what to look at, if the server
// cannot be reached, and the fields of its request as its options and arguments
// are called (`idle_timeout` as `--idle-timeout`), and states as it shows
// them.
std::string ErrorText(const absl::Status& error, const CLI::App& command);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ERROR_TEXT_H_
