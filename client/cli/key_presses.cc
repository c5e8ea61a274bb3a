#include "client/cli/key_presses.h"

#include <string_view>
#include <utility>

namespace leasehold::client::cli {
namespace {

constexpr char kEscape = '\x1b';

struct Sequence {
  std::string_view text;
  Key key;
};

// Of xterm and those that do as it does; `O` instead of `[` in its other mode.
constexpr Sequence kSequences[] = {
    {"[A", Key::kUp},        {"[B", Key::kDown}, {"[5~", Key::kPageUp},
    {"[6~", Key::kPageDown}, {"[H", Key::kHome}, {"[F", Key::kEnd},
    {"[1~", Key::kHome},     {"[4~", Key::kEnd}, {"OA", Key::kUp},
    {"OB", Key::kDown},      {"OH", Key::kHome}, {"OF", Key::kEnd}};

std::optional<Key> KeyOf(char character) {
  switch (character) {
    case 'q':
    case 'Q':
      return Key::kQuit;
    case 's':
    case 'S':
      return Key::kSort;
    case 'k':
      return Key::kUp;
    case 'j':
      return Key::kDown;
    case 'b':
      return Key::kPageUp;
    case ' ':
    case 'f':
      return Key::kPageDown;
    case 'g':
      return Key::kHome;
    case 'G':
      return Key::kEnd;
    default:
      return std::nullopt;
  }
}

// Whether the character ends an escape sequence: `[` and `O` only begin one.
bool Ends(const std::string& sequence) {
  const char last = sequence.back();
  return sequence.size() > 1 && last >= '@' && last <= '~';
}

}  // namespace

std::optional<Key> KeyPresses::Take(char character) {
  if (character == kEscape) {
    begun_ = kEscape;
    return std::nullopt;
  }
  if (begun_.empty()) return KeyOf(character);
  // Escape was pressed, and then another key.
  if (begun_.size() == 1 && character != '[' && character != 'O') {
    begun_.clear();
    return KeyOf(character);
  }
  begun_ += character;
  const std::string sequence = begun_.substr(1);
  if (!Ends(sequence)) return std::nullopt;
  begun_.clear();
  for (const Sequence& each : kSequences) {
    if (each.text == sequence) return each.key;
  }
  return std::nullopt;
}

}  // namespace leasehold::client::cli
