// Contexts: named sets of global options in the config file, of which one is in
// use.
//
//   context=test
//   [contexts.test]
//   address=localhost:4001
//   [contexts.prod]
//   address=leasehold.example.com:4001
//   ca=ca.pem
//   token-file=prod.token
//
// Thread-safety: values.
#ifndef LEASEHOLD_CLIENT_CLI_CONTEXTS_H_
#define LEASEHOLD_CLIENT_CLI_CONTEXTS_H_

#include <map>
#include <string>
#include <vector>

namespace leasehold::client::cli {

struct Contexts {
  // A global option: what it is set to, and what set it, as in
  // `environment LEASEHOLD_CA` and `context prod`.
  struct Setting {
    std::string option;
    std::string value;
    std::string from;
  };

  // The config file; empty if there is none.
  std::string file;
  // Each with its options, by name.
  std::map<std::string, std::map<std::string, std::string>> all;
  // The one in use, which may not exist; empty: none.
  std::string current;
  // All global options.
  std::vector<Setting> in_force;

  // `the contexts of FILE are a, b`, or why there are none.
  std::string Known() const;
};

// `config` with a top level that says `context=NAME`, and else as it was.
std::string WithContext(const std::string& config, const std::string& name);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_CONTEXTS_H_
