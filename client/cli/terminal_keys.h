// TerminalKeys: what is typed on the terminal, key by key and unseen, for as
// long as it lives; afterwards the terminal is as it was.
//
// Ctrl-C still interrupts. Ctrl-Z does nothing: a program that stops would
// leave the terminal as it is now.
//
// Thread-safety: one thread; `on_key` is called on another one, until the
// destructor returns.   Lifetime: the descriptor is the caller's.
#ifndef LEASEHOLD_CLIENT_CLI_TERMINAL_KEYS_H_
#define LEASEHOLD_CLIENT_CLI_TERMINAL_KEYS_H_

#include <termios.h>

#include <functional>
#include <thread>

namespace leasehold::client::cli {

class TerminalKeys {
 public:
  // `terminal` below 0, or not a terminal: there are no keys.
  TerminalKeys(int terminal, std::function<void(char)> on_key);
  ~TerminalKeys();
  TerminalKeys(const TerminalKeys&) = delete;
  TerminalKeys& operator=(const TerminalKeys&) = delete;

 private:
  void Read() const;

  const int terminal_;
  const std::function<void(char)> on_key_;
  bool changed_ = false;
  termios before_ = {};
  int end_ = -1;  // An eventfd that tells the thread to end.
  std::thread thread_;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_TERMINAL_KEYS_H_
