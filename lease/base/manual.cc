#include "lease/base/manual.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace leasehold {
namespace {

// A text in which nothing is a command of man(7). Its lines become spaces.
std::string Plain(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}, {"\n", " "}});
}

std::string Bold(const std::string& text) {
  return absl::StrCat("\\fB", Plain(text), "\\fR");
}

// With what stands between backquotes in bold.
std::string Marked(const std::string& text) {
  std::string marked;
  bool bold = false;
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(text, '`'))) {
    absl::StrAppend(&marked, bold ? Bold(part) : Plain(part));
    bold = !bold;
  }
  // A line that begins with one of these would be a command.
  const bool escaped =
      !marked.empty() && (marked[0] == '.' || marked[0] == '\'');
  return absl::StrCat(escaped ? "\\&" : "", marked);
}

// `leasehold-instances-list`
std::string PageName(const CommandText& command) {
  return absl::StrReplaceAll(command.name, {{" ", "-"}});
}

void WriteSynopsis(const CommandText& command, PageText& page) {
  page.Section("SYNOPSIS");
  std::string line = absl::StrCat("`", command.name, "` [OPTION...]");
  for (const OptionText& argument : command.arguments) {
    const std::string name =
        absl::StrCat(argument.name, argument.repeats ? "..." : "");
    absl::StrAppend(&line, " ",
                    argument.required ? name : absl::StrCat("[", name, "]"));
  }
  page.Paragraph(line);
  if (command.commands.empty()) return;
  page.Paragraph(absl::StrCat("`", command.name, "` [OPTION...] COMMAND ..."));
}

void WriteOptions(const std::string& title,
                  const std::vector<OptionText>& options, PageText& page) {
  if (options.empty()) return;
  page.Section(title);
  for (const OptionText& option : options) {
    std::string term = option.short_name.empty()
                           ? option.name
                           : absl::StrCat(option.short_name, ", ", option.name);
    std::string after = option.name[0] == '-' && !option.value.empty()
                            ? absl::StrCat("=", option.value)
                            : "";
    if (!option.fallback.empty()) {
      absl::StrAppend(&after, "    (default: ", option.fallback, ")");
    }
    page.Item(term, after, option.help);
  }
}

ManualPage Page(const CommandText& command, const CommandText* above,
                const ManualStyle& style) {
  const std::string name = PageName(command);
  std::string summary = command.Summary();
  if (!summary.empty()) {
    summary[0] = absl::ascii_tolower(static_cast<unsigned char>(summary[0]));
  }
  PageText page(name, style.section, style.version, summary);
  WriteSynopsis(command, page);
  page.Section("DESCRIPTION");
  page.Paragraph(command.description);
  WriteOptions("ARGUMENTS", command.arguments, page);
  WriteOptions("OPTIONS", command.options, page);
  if (!command.footer.empty()) page.Paragraph(command.footer);
  const std::string section = absl::StrCat("(", style.section, ")");
  std::vector<std::string> see;
  if (above != nullptr) see.push_back(absl::StrCat(PageName(*above), section));
  if (!command.commands.empty()) page.Section("COMMANDS");
  for (const CommandText& below : command.commands) {
    page.Item(below.LastName(), "", below.Summary());
    see.push_back(absl::StrCat(PageName(below), section));
  }
  for (const auto& [title, text] : style.sections) {
    page.Section(title);
    page.Paragraph(text);
  }
  see.insert(see.end(), style.see_also.begin(), style.see_also.end());
  if (!see.empty()) {
    page.Section("SEE ALSO");
    page.Paragraph(absl::StrJoin(see, ", "));
  }
  return {.file = absl::StrCat(name, ".", style.section), .text = page.text()};
}

void AddPages(const CommandText& command, const CommandText* above,
              const ManualStyle& style, std::vector<ManualPage>& pages) {
  pages.push_back(Page(command, above, style));
  for (const CommandText& below : command.commands) {
    AddPages(below, &command, style, pages);
  }
}

}  // namespace

PageText::PageText(const std::string& name, int section,
                   const std::string& version, const std::string& summary) {
  // Without a date: the same program has the same pages.
  absl::StrAppend(&text_, ".TH \"", Plain(absl::AsciiStrToUpper(name)), "\" ",
                  section, " \"\" \"Leasehold ", Plain(version),
                  "\" \"Leasehold\"\n");
  // No hyphens are put into words, and lines end where they end.
  absl::StrAppend(&text_, ".nh\n.ad l\n");
  Section("NAME");
  absl::StrAppend(&text_, Plain(name), " \\- ", Marked(summary), "\n");
}

void PageText::Section(const std::string& title) {
  absl::StrAppend(&text_, ".SH ", title, "\n");
}

void PageText::Paragraph(const std::string& text) {
  absl::StrAppend(&text_, ".PP\n", Marked(text), "\n");
}

void PageText::Item(const std::string& term, const std::string& after,
                    const std::string& text) {
  absl::StrAppend(&text_, ".TP\n", Bold(term), Plain(after), "\n", Marked(text),
                  "\n");
}

void PageText::Example(const std::string& line) {
  absl::StrAppend(&text_, ".PP\n.RS 4\n", Bold(line), "\n.RE\n");
}

std::vector<ManualPage> ManualPages(const CommandText& command,
                                    const ManualStyle& style) {
  std::vector<ManualPage> pages;
  AddPages(command, nullptr, style, pages);
  return pages;
}

absl::Status WritePages(const std::vector<ManualPage>& pages,
                        const std::string& directory) {
  for (const ManualPage& page : pages) {
    const std::string path = absl::StrCat(directory, "/", page.file);
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << page.text;
    file.close();
    if (!file) {
      return absl::UnavailableError(
          absl::StrCat(path, ": cannot be written: ", std::strerror(errno)));
    }
  }
  return absl::OkStatus();
}

}  // namespace leasehold
