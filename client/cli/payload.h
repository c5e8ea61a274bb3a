// Payloads: what `--input` and its like say, read and looked at before it is
// sent.
//
// A payload is JSON: the text itself, `@FILE` for what a file holds, or `-` for
// standard input. The server takes any text; JSON is what workers read, and a
// mistake is told best where it was made.
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
  // As it was given.
  std::optional<std::string> text;
};
void AddPayload(CLI::App& app, PayloadOption& option,
                const std::string& description);

// The payload that is meant; empty: none was given. Reads the file or standard
// input, without the white space around it. Throws UsageError: it cannot be
// read, or is no JSON; says what is wrong, and where.
std::optional<std::string> ReadPayload(const PayloadOption& option,
                                       Surroundings& surroundings);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_PAYLOAD_H_
