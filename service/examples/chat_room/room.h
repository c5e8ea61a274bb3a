// Room: the state of a chat room instance; and the listeners in it.
//
// Thread-safety: safe.   Lifetime: a listener leaves before it is destroyed.
#ifndef CHAT_ROOM_ROOM_H_
#define CHAT_ROOM_ROOM_H_

#include <cstdint>
#include <mutex>
#include <set>
#include <string>

#include "chat_room.pb.h"

// Somebody in the room.
class Listener {
 public:
  // Takes the line, to be sent on later. Must not block, and must not call the
  // room.
  virtual void Hear(const chat::v1::Line& line) = 0;

 protected:
  ~Listener() = default;
};

class Room {
 public:
  void Enter(Listener* listener) {
    const std::lock_guard lock(mu_);
    listeners_.insert(listener);
  }
  void Leave(Listener* listener) {
    const std::lock_guard lock(mu_);
    listeners_.erase(listener);
  }
  // Everyone hears all lines in the same order. Returns how many heard it.
  int Say(const std::string& name, const std::string& text) {
    const std::lock_guard lock(mu_);
    chat::v1::Line line;
    line.set_number(++lines_);
    line.set_name(name);
    line.set_text(text);
    for (Listener* listener : listeners_) listener->Hear(line);
    return static_cast<int>(listeners_.size());
  }

 private:
  std::mutex mu_;
  uint64_t lines_ = 0;
  std::set<Listener*> listeners_;
};

#endif  // CHAT_ROOM_ROOM_H_
