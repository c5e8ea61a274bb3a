#include "lease/base/completion.h"

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace leasehold {
namespace {

using Visit = std::function<void(const CommandText& command,
                                 const std::vector<OptionText>& options)>;

// Calls `visit` for each command with the options that it takes, those of a
// program that falls through among them.
void ForEach(const CommandText& command, std::vector<OptionText> above,
             const Visit& visit) {
  std::vector<OptionText> options = command.options;
  for (const OptionText& option : above) {
    // Each command has a --help of its own.
    bool own = false;
    for (const OptionText& other : command.options) {
      own = own || other.name == option.name;
    }
    if (!own) options.push_back(option);
  }
  visit(command, options);
  if (!command.falls_through) options.clear();
  for (const CommandText& below : command.commands) {
    ForEach(below, options, visit);
  }
}

// The name of a shell's function: `_leasehold_server`.
std::string FunctionName(const CommandText& program) {
  return absl::StrCat("_", absl::StrReplaceAll(program.name, {{"-", "_"}}));
}

// Quoted for the shell `text` goes to: all three take this, but that fish has
// its own way to write a quote.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string FishQuoted(const std::string& text) {
  return absl::StrCat(
      "'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

// One line that is not too long to stand in a list.
std::string Short(const std::string& help) {
  constexpr size_t kMax = 100;
  std::string text = help.substr(0, help.find_first_of(";\n"));
  text = text.substr(0, text.find(". "));
  if (text.size() > kMax) {
    text = absl::StrCat(text.substr(0, text.rfind(' ', kMax)), "...");
  }
  return text;
}

// `--state=` for what takes a value.
std::string Written(const OptionText& option) {
  return absl::StrCat(option.name, option.value.empty() ? "" : "=");
}

// What may stand where an argument does.
std::vector<std::string> Words(const CommandText& command) {
  std::vector<std::string> words;
  for (const CommandText& below : command.commands) {
    words.push_back(below.LastName());
  }
  for (const OptionText& argument : command.arguments) {
    for (std::string& choice : argument.Choices()) {
      words.push_back(std::move(choice));
    }
  }
  return words;
}

// What stands for the values of an option in the tables for bash and zsh.
std::string ValuesOf(const OptionText& option) {
  if (option.IsFile()) return "@file";
  if (option.IsDirectory()) return "@directory";
  return absl::StrJoin(option.Choices(), " ");
}

// Functions for bash and zsh that print what the command `$1` has. The path of
// commands is found by the words before the one that is to be completed.
std::string Tables(const CommandText& program) {
  const std::string name = FunctionName(program);
  std::string words, options, values;
  ForEach(
      program, {},
      [&](const CommandText& command, const std::vector<OptionText>& taken) {
        const std::string here = Quoted(command.name);
        absl::StrAppend(&words, "    ", here, ") echo ",
                        Quoted(absl::StrJoin(Words(command), " ")), " ;;\n");
        absl::StrAppend(&options, "    ", here, ") echo ",
                        Quoted(absl::StrJoin(
                            taken, " ",
                            [](std::string* out, const OptionText& option) {
                              out->append(Written(option));
                            })),
                        " ;;\n");
        for (const OptionText& option : taken) {
          const std::string of_option = ValuesOf(option);
          if (of_option.empty()) continue;
          absl::StrAppend(&values, "    ",
                          Quoted(absl::StrCat(command.name, " ", option.name)),
                          ") echo ", Quoted(of_option), " ;;\n");
        }
        for (const OptionText& argument : command.arguments) {
          if (!argument.IsFile() && !argument.IsDirectory()) continue;
          absl::StrAppend(&values, "    ", here, ") echo ",
                          Quoted(ValuesOf(argument)), " ;;\n");
        }
      });
  const auto function = [&name](const char* what, const std::string& lines) {
    return absl::StrCat(name, "_", what, "() {\n  case \"$1\" in\n", lines,
                        "  esac\n}\n");
  };
  return absl::StrCat(function("words", words), function("options", options),
                      function("values", values));
}

constexpr char kBash[] = R"script(
FUNCTION() {
  local here=PROGRAM word option='' current=${COMP_WORDS[COMP_CWORD]} i found
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $word == [a-z]* && " $(FUNCTION_words "$here") " == *" $word "* &&
          -n $(FUNCTION_options "$here $word") ]]; then
      here="$here $word"
    fi
  done
  # bash makes words of what stands before and after an equals sign.
  if [[ $current == = ]]; then
    option=${COMP_WORDS[COMP_CWORD - 1]} current=''
  elif ((COMP_CWORD >= 2)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
    option=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if [[ -n $option || $current != -* ]]; then
    found=$(FUNCTION_values "$here${option:+ $option}")
    case $found in
      @file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
      @directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
      *)
        [[ -n $option ]] || found=$(FUNCTION_words "$here")
        mapfile -t COMPREPLY < <(compgen -W "$found" -- "$current")
        ;;
    esac
  else
    mapfile -t COMPREPLY < <(compgen -W "$(FUNCTION_options "$here")" -- "$current")
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
  fi
}
complete -F FUNCTION PROGRAM
)script";

constexpr char kZsh[] = R"script(
FUNCTION() {
  local here=PROGRAM word option='' found i
  local -a all
  for ((i = 2; i < CURRENT; ++i)); do
    word=$words[i]
    if [[ $word == [a-z]* && " $(FUNCTION_words $here) " == *" $word "* &&
          -n $(FUNCTION_options "$here $word") ]]; then
      here="$here $word"
    fi
  done
  if [[ $PREFIX == --*=* ]]; then
    option=${PREFIX%%=*}
    compset -P '*='
  fi
  if [[ -n $option || $PREFIX != -* ]]; then
    found=$(FUNCTION_values "$here${option:+ $option}")
    case $found in
      (@file) _files ;;
      (@directory) _files -/ ;;
      (*)
        if [[ -n $option ]]; then
          all=(${=found})
          compadd -a all
        else
          all=(${(f)"$(FUNCTION_described "$here")"})
          _describe -t commands command all
        fi
        ;;
    esac
  else
    all=(${=$(FUNCTION_options "$here")})
    compadd -S '' -- ${(M)all:#*=}
    compadd -- ${all:#*=}
  fi
}
if [[ $funcstack[1] == FUNCTION ]]; then
  FUNCTION "$@"
else
  compdef FUNCTION PROGRAM
fi
)script";

std::string Filled(const char* script, const CommandText& program) {
  return absl::StrReplaceAll(
      script, {{"FUNCTION", FunctionName(program)}, {"PROGRAM", program.name}});
}

std::string BashCompletion(const CommandText& program) {
  return absl::StrCat("# Completion of ", program.name, " for bash.\n",
                      Tables(program), Filled(kBash, program));
}

std::string ZshCompletion(const CommandText& program) {
  // The words of each command with what they do.
  std::string described;
  ForEach(
      program, {},
      [&described](const CommandText& command, const std::vector<OptionText>&) {
        absl::StrAppend(&described, "    ", Quoted(command.name),
                        ") print -rl --");
        for (const CommandText& below : command.commands) {
          absl::StrAppend(
              &described, " ",
              Quoted(absl::StrCat(below.LastName(), ":",
                                  absl::StrReplaceAll(Short(below.description),
                                                      {{":", "\\:"}}))));
        }
        for (const OptionText& argument : command.arguments) {
          for (const std::string& choice : argument.Choices()) {
            absl::StrAppend(&described, " ", Quoted(choice));
          }
        }
        absl::StrAppend(&described, " ;;\n");
      });
  return absl::StrCat("#compdef ", program.name, "\n# Completion of ",
                      program.name, " for zsh.\n", Tables(program),
                      FunctionName(program),
                      "_described() {\n  case \"$1\" in\n", described,
                      "  esac\n}\n", Filled(kZsh, program));
}

std::string FishOption(const OptionText& option) {
  std::string text = absl::StrCat(" -l ", option.name.substr(2));
  if (!option.short_name.empty()) {
    absl::StrAppend(&text, " -s ", option.short_name.substr(1));
  }
  if (option.IsFile() || option.IsDirectory()) {
    absl::StrAppend(&text, " -r -F");
  } else if (!option.value.empty()) {
    absl::StrAppend(&text, " -x");
    const std::string choices = absl::StrJoin(option.Choices(), " ");
    if (!choices.empty()) {
      absl::StrAppend(&text, " -a ", FishQuoted(choices));
    }
  }
  return absl::StrCat(text, " -d ", FishQuoted(Short(option.help)), "\n");
}

std::string FishCompletion(const CommandText& program) {
  const std::string function = absl::StrCat("_", FunctionName(program), "_at");
  std::string paths, offers;
  ForEach(
      program, {},
      [&](const CommandText& command, const std::vector<OptionText>& taken) {
        if (&command != &program) {
          absl::StrAppend(&paths, " ", FishQuoted(command.name));
        }
        const std::string here =
            absl::StrCat("complete -c ", program.name, " -n ",
                         FishQuoted(absl::StrCat(function, " ", command.name)));
        for (const CommandText& below : command.commands) {
          absl::StrAppend(&offers, here, " -a ", FishQuoted(below.LastName()),
                          " -d ", FishQuoted(Short(below.description)), "\n");
        }
        for (const OptionText& argument : command.arguments) {
          const std::string choices = absl::StrJoin(argument.Choices(), " ");
          if (!choices.empty()) {
            absl::StrAppend(&offers, here, " -a ", FishQuoted(choices), "\n");
          } else if (argument.IsFile() || argument.IsDirectory()) {
            absl::StrAppend(&offers, here, " -F\n");
          }
        }
        for (const OptionText& option : taken) {
          absl::StrAppend(&offers, here, FishOption(option));
        }
      });
  std::string walk;
  if (!paths.empty()) {
    walk = absl::StrCat(
        "    for word in (commandline -opc)[2..-1]\n"
        "        switch \"$here $word\"\n"
        "            case",
        paths,
        "\n                set here \"$here $word\"\n"
        "        end\n    end\n");
  }
  return absl::StrCat("# Completion of ", program.name, " for fish.\n",
                      "function ", function, "\n    set -l here ", program.name,
                      "\n", walk, "    test \"$here\" = \"$argv\"\nend\n",
                      "complete -c ", program.name, " -f\n", offers);
}

}  // namespace

absl::StatusOr<std::string> Completion(const std::string& shell,
                                       const CommandText& program) {
  if (shell == "bash") return BashCompletion(program);
  if (shell == "zsh") return ZshCompletion(program);
  if (shell == "fish") return FishCompletion(program);
  return absl::InvalidArgumentError(absl::StrCat(
      "there are completions for bash, zsh and fish, and none for \"", shell,
      "\""));
}

}  // namespace leasehold
