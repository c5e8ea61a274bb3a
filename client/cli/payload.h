// Payloads: the values of `--input` and similar options, read and checked
// before they are sent.
//
// A payload is JSON: the text itself, `@FILE` for the content of a file, or `-`
// for standard input. The server takes any text, but workers expect JSON, and a
// mistake is best reported where it was made.
//
// Thread-safety: one thread.   Lifetime: AddPayload's target outlives the
// parser.
#ifndef LEASEHOLD_CLIENT_CLI_PAYLOAD_H_
#define LEASEHOLD_CLIENT_CLI_PAYLOAD_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "client/cli/command.h"

namespace leasehold::client::cli {

// The option of a command that sends a payload.
struct PayloadOption {
  std::string name;
  // As given by the user.
  std::optional<std::string> text;
};
void AddPayload(CLI::App& app, PayloadOption& option,
                const std::string& description);

// The payload, or nothing if the option was not given. Reads the file or
// standard input and strips surrounding white space. Throws UsageError, which
// says what is wrong and where, if it cannot be read, is larger than any server
// takes, or is not valid JSON (lease/base/json.h).
std::optional<std::string> ReadPayload(const PayloadOption& option,
                                       Surroundings& surroundings);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_PAYLOAD_H_
