// Screen: the whole terminal, for a command that shows one picture after the
// other: on its alternate screen, so that what stood there before comes back.
//
// Thread-safety: one thread.   Lifetime: the output outlives it.
#ifndef LEASEHOLD_CLIENT_CLI_SCREEN_H_
#define LEASEHOLD_CLIENT_CLI_SCREEN_H_

#include <cstddef>
#include <string>
#include <vector>

#include "client/cli/key_presses.h"
#include "client/cli/output.h"

namespace leasehold::client::cli {

class Screen {
 public:
  explicit Screen(Output& output);
  // Gives the terminal back as it was.
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // The text that shows these lines in place of what was drawn before, without
  // flicker; those beyond `rows - 1` are left out.
  static std::string Text(const std::vector<std::string>& lines, int rows);

 private:
  Output& output_;
};

// Which rows of a long list are in sight.
class Scroll {
 public:
  void Press(Key key);
  // The first one of `all` rows, of which `fit` are in sight.
  size_t First(size_t all, size_t fit);

 private:
  size_t first_ = 0;
  size_t page_ = 1;
  bool at_end_ = false;  // Of a list whose length is not known here.
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_SCREEN_H_
