// ReadTurn: how much a thread reads from connections before it serves what it
// has read.
//
// gRPC 1.51 reads a connection on for as long as there are bytes in it, and
// hands out no call meanwhile. So clients that send as fast as they are read
// keep a thread reading for ever: calls come in and use memory, and none is
// served or refused ("receive livelock": Mogul and Ramakrishnan, 1997). A turn
// ends that: after a few calls, or some bytes of a large one, a connection
// looks empty until the thread has served the calls that it has and looks at
// all connections again, in the order in which they have waited.
//
// Thread-safety: none; each thread has its own.
#ifndef LEASEHOLD_SERVICE_NETWORK_READ_TURNS_H_
#define LEASEHOLD_SERVICE_NETWORK_READ_TURNS_H_

#include <algorithm>
#include <cstddef>

namespace leasehold {

class ReadTurn {
 public:
  // Some 40 small calls: a millisecond's work or so.
  static constexpr size_t kBytes = 4 << 10;
  // While no call begins: the bytes of large ones.
  static constexpr size_t kBytesOfLarge = 64 << 10;

  // The thread looks which connections have something to read. A thread that
  // never does so has no turns, and reads what it wants.
  void Begin() {
    limited_ = true;
    bytes_ = 0;
    has_call_ = false;
  }
  bool limited() const { return limited_; }
  // How many bytes may be read now. 0: the turn is over.
  size_t Room() const {
    const size_t most = has_call_ || bytes_ == 0 ? kBytes : kBytesOfLarge;
    return most - std::min(most, bytes_);
  }
  void OnRead(size_t bytes) { bytes_ += bytes; }
  // There was a call in what was read.
  void OnCall() { has_call_ = true; }

 private:
  bool limited_ = false;
  size_t bytes_ = 0;
  bool has_call_ = false;
};

// That of this thread.
ReadTurn& ThisThreadsReadTurn();

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_READ_TURNS_H_
