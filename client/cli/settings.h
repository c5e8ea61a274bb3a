// Settings: gives the options that are not on the command line their values.
//
// The first of these that has one: the environment, the context of the config
// file that is in use, the top level of that file. The file is that of
// --config, else of LEASEHOLD_CONFIG, else ~/.config/leasehold/config (or where
// XDG_CONFIG_HOME says), if there is one.
//
// Thread-safety: one thread.   Lifetime: the parser and the surroundings
// outlive it.
#ifndef LEASEHOLD_CLIENT_CLI_SETTINGS_H_
#define LEASEHOLD_CLIENT_CLI_SETTINGS_H_

#include <CLI/CLI.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/contexts.h"

namespace leasehold::client::cli {

// What gave an option its value; a smaller one wins.
enum class Source { kCommandLine, kEnvironment, kContext, kFile, kDefault };

class Settings {
 public:
  // Adds --config and --context to the parser.
  Settings(CLI::App& parser, const Surroundings& surroundings);

  // A global option: environment and contexts can set it, too. `is_path`: in
  // the file, a relative one is meant from the file's folder.
  void Add(CLI::Option* option, const char* variable, bool is_path = false);

  // Once the command line has been parsed. A context that does not exist is an
  // error only if a server is `called`. Throws CLI::ParseError, whose text says
  // which variable or file is wrong.
  void Read(bool called);

  Source SourceOf(const CLI::Option* option) const;
  // REQUIRES: Read.
  Contexts contexts() const;

 private:
  void ReadEnvironment();
  void FindFile();
  void ReadFile(bool called);
  // Notes an item of a context, or its beginning; false: it is none.
  bool NoteContext(const CLI::ConfigItem& item);
  void CheckContext() const;
  void ReadContext();
  void ReadItem(const CLI::ConfigItem& item);
  // Unless the option has a value from what wins over `source`.
  void Give(CLI::Option* option, std::string value, Source source);
  // What `source` is called for this option.
  std::string NameOf(Source source, const CLI::Option* option) const;

  CLI::App& parser_;
  const Surroundings& surroundings_;
  std::vector<CLI::Option*> options_;
  std::map<const CLI::Option*, const char*> variables_;
  std::set<const CLI::Option*> paths_;
  std::map<const CLI::Option*, Source> sources_;
  CLI::Option* context_ = nullptr;
  std::string file_;
  std::string current_;
  Contexts contexts_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_SETTINGS_H_
