// Values: reads the text of an option's value; the error says what would be
// right.
//
// Thread-safety: safe.   Lifetime: no state; AddValue's target outlives the
// parser.
#ifndef LEASEHOLD_CLIENT_CLI_VALUES_H_
#define LEASEHOLD_CLIENT_CLI_VALUES_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/command.h"
#include "client/cli/output.h"
#include "client/instances/instance.h"
#include "client/wire/instance_metadata.h"

namespace leasehold::client::cli {

// INVALID_ARGUMENT: `"tea" is not a time; write ...` for the text `tea` and the
// rest of the sentence after "is".
absl::Status WrongValue(const std::string& text, const char* right);

// A positive, finite duration with its unit: 500ms, 20s, 1h30m.
absl::StatusOr<absl::Duration> ReadDuration(const std::string& text);
// A whole number from 1 to 1,000,000.
absl::StatusOr<int> ReadCount(const std::string& text);
// A whole number from 0 to 2^64 - 1.
absl::StatusOr<uint64_t> ReadSequence(const std::string& text);
// The server's maximum for a page of a list.
inline constexpr int kPageMax = 1000;

// HOST:PORT or unix:PATH.
absl::StatusOr<std::string> ReadAddress(const std::string& text);
// Any UTF-8 text.
absl::StatusOr<std::string> ReadText(const std::string& text);
// Any UTF-8 text that is not empty: an ID, and a name.
absl::StatusOr<std::string> ReadId(const std::string& text);
absl::StatusOr<std::string> ReadName(const std::string& text);
// `table` or `json`.
absl::StatusOr<OutputFormat> ReadOutputFormat(const std::string& text);
// `auto`, `always` or `never`.
absl::StatusOr<ColorChoice> ReadColorChoice(const std::string& text);
// `new` or `existing`.
absl::StatusOr<Expect> ReadExpect(const std::string& text);

// `opening`, `busy`, `idle` or `closing`, in upper or lower case.
absl::StatusOr<InstanceState> ReadInstanceState(const std::string& text);

// Adds an option whose value is read into `target`. A wrong value throws the
// parser's ValidationError, which names the option.
template <typename Target, typename T>
CLI::Option* AddValue(CLI::App& app, const std::string& name, Target& target,
                      absl::StatusOr<T> (*read)(const std::string&),
                      const std::string& description) {
  return app.add_option_function<std::string>(
      name,
      [name, &target, read](const std::string& text) {
        absl::StatusOr<T> value = read(text);
        if (!value.ok()) {
          throw CLI::ValidationError(name,
                                     std::string(value.status().message()));
        }
        target = *std::move(value);
      },
      description);
}

// The same for an option that may be repeated, each time with one
// value.
template <typename T>
CLI::Option* AddValues(CLI::App& app, const std::string& name,
                       std::vector<T>& target,
                       absl::StatusOr<T> (*read)(const std::string&),
                       const std::string& description) {
  return app
      .add_option_function<std::vector<std::string>>(
          name,
          [name, &target, read](const std::vector<std::string>& texts) {
            target.clear();
            for (const std::string& text : texts) {
              absl::StatusOr<T> value = read(text);
              if (!value.ok()) {
                throw CLI::ValidationError(
                    name, std::string(value.status().message()));
              }
              target.push_back(*std::move(value));
            }
          },
          description)
      ->allow_extra_args(false);
}

// Adds the argument ID of a command.
CLI::Option* AddId(CLI::App& app, std::string& id);
// Adds the option --idle-timeout of a command that may create an instance.
CLI::Option* AddIdleTimeoutOption(CLI::App& app,
                                  std::optional<absl::Duration>& timeout);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_VALUES_H_
