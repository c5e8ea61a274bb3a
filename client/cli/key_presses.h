// KeyPresses: what is typed on a terminal, as keys: arrows and their like come
// as several characters.
//
// Thread-safety: one thread.   Lifetime: a value.
#ifndef LEASEHOLD_CLIENT_CLI_KEY_PRESSES_H_
#define LEASEHOLD_CLIENT_CLI_KEY_PRESSES_H_

#include <optional>
#include <string>

namespace leasehold::client::cli {

enum class Key { kUp, kDown, kPageUp, kPageDown, kHome, kEnd, kQuit, kSort };

class KeyPresses {
 public:
  // The key that this character completes; nullopt: none, or one that means
  // nothing here. Letters do as in `less` and `top`.
  std::optional<Key> Take(char character);

 private:
  std::string begun_;  // An escape sequence, as far as it has come.
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_KEY_PRESSES_H_
