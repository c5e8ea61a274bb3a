// ManualPages: a program's manual pages, one for each of its commands, in the
// language of man(7).
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_LEASE_BASE_MANUAL_H_
#define LEASEHOLD_LEASE_BASE_MANUAL_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lease/base/command_text.h"

namespace leasehold {

// One page as it is written. Texts are plain, but that what stands between
// backquotes is set in bold.
class PageText {
 public:
  // `name`: as in `man NAME`.
  PageText(const std::string& name, int section, const std::string& version,
           const std::string& summary);

  void Section(const std::string& title);
  void Paragraph(const std::string& text);
  // A term and what it means; the first of the two is set in bold.
  void Item(const std::string& term, const std::string& after,
            const std::string& text);
  // A line of an example.
  void Example(const std::string& line);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct ManualPage {
  std::string file;  // `leasehold-echo.1`
  std::string text;
};

struct ManualStyle {
  int section = 1;
  std::string version = {};
  // What the pages of all commands end with: titles and texts.
  std::vector<std::pair<std::string, std::string>> sections = {};
  // Other pages: `leasehold(1)`.
  std::vector<std::string> see_also = {};
};

// Of `command` and all below it.
std::vector<ManualPage> ManualPages(const CommandText& command,
                                    const ManualStyle& style);

// Into a directory that exists.
//   Unavailable: a page cannot be written; the message names it.
absl::Status WritePages(const std::vector<ManualPage>& pages,
                        const std::string& directory);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_MANUAL_H_
