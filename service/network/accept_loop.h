// AcceptLoop: one thread that accepts connections, looks at their first bytes,
// counts them, and hands them on.
//
// gRPC 1.51's own listener stops for good when it runs out of descriptors, and
// has no limits. Here a connection goes through these states:
//
//   waiting   its first bytes have not arrived, or its PROXY header, if it
//             comes from a trusted proxy; closed at a deadline, or sooner if
//             another connection needs the room
//   handed    it spoke HTTP/2, or was silent for a moment while there was
//             plenty of room; belongs to the taker; counted until it is closed
//
// Why the moment of silence: a client may wait for the server's first bytes.
// gRPC's client polls its connections only while it waits for something; one
// that fails fast, and gives a connection 100 ms, must find in a single poll
// that the connection is established and that the server answered, or it never
// connects.
//
// The limits, in total and per address (an IPv4 address, or the /64 of an IPv6
// one), cover both states together. A connection over a limit is reset; waiting
// connections are closed first, so that silent ones keep nobody out.
//
// The taker closes its descriptors without telling this class. The loop detects
// a closed connection by its cookie: a descriptor that is closed, or is another
// socket by now, does not have the recorded cookie (SO_COOKIE). Checking one
// takes about a microsecond; the loop checks all every second, and before it
// rejects a connection.
//
// A trusted proxy says in a PROXY header who has connected to it: from then on
// its connection is one of that address. Its own connections, such as those
// that check whether we are alive, are limited in total only.
//
// If descriptors run out nevertheless, the loop closes one kept in reserve to
// accept the next connection and reset it: otherwise the listener would stay
// readable, and its clients would wait.
//
// Thread-safety: Stop and Wake are safe; everything else belongs to the thread.
// Lifetime: clock, taker and callers outlive it; the listeners belong to the
// caller, and stay open until Stop has returned.
#ifndef LEASEHOLD_SERVICE_NETWORK_ACCEPT_LOOP_H_
#define LEASEHOLD_SERVICE_NETWORK_ACCEPT_LOOP_H_

#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lease/base/cells.h"
#include "lease/clock.h"
#include "service/network/address_range.h"
#include "service/network/caller_addresses.h"

namespace leasehold {

struct AcceptLimits {
  size_t connections_max = 10'000;
  size_t connections_of_address_max = 1'000;  // Unix sockets have no address.
  // How long the first bytes may take.
  absl::Duration first_bytes_timeout = absl::Seconds(10);
  // A client that has been silent this long is handed on, so that the taker can
  // speak first, while half the room is free: in total, and for its address.
  absl::Duration greeting_delay = absl::Milliseconds(10);
  // How long sent data may wait for the other side to acknowledge it (TCP): a
  // peer that neither reads nor answers is gone. Pings queue behind that data.
  absl::Duration unsent_timeout = absl::Seconds(40);
  // TCP connections begin with a TLS handshake. Unix sockets never do: who may
  // reach them is a matter of permissions.
  bool tls = false;
  // Connections from there, and from nowhere else, begin with a PROXY header.
  // Unix sockets never do.
  std::vector<AddressRange> proxies = {};
};

// Why a connection was closed.
enum class Refusal {
  kTooMany,           // The total limit is reached.
  kTooManyOfAddress,  // The address's limit is reached.
  kNoDescriptor,      // The process has no descriptors left.
  kSilent,            // The first bytes did not arrive in time.
  kNotHttp2,          // The first bytes are not HTTP/2.
  kNotTls,            // They are not a TLS handshake, which is due here.
  kProxyHeader,       // They are a PROXY header, where none is due.
  kNoProxyHeader,     // They are not one, although it comes from a proxy.
  kBadProxyHeader,    // They are one that is malformed or too long.
};
inline constexpr size_t kRefusals = 9;

// Receives the connections. Called on the loop's thread; must not block.
class ConnectionTaker {
 public:
  // Takes ownership of the descriptor. Nothing has been read from it. `tls`: it
  // begins with a TLS handshake.
  virtual void Take(int descriptor, bool tls) = 0;
  // `address`: the peer's, without port; "unix" for a Unix socket, empty if
  // unknown.
  virtual void OnRefused(Refusal refusal, const std::string& address) = 0;

 protected:
  ~ConnectionTaker() = default;
};

class AcceptLoop {
 public:
  // Starts the thread. `listeners`: listening, non-blocking sockets. `callers`
  // is told who is behind proxies' connections.
  AcceptLoop(const Clock& clock, std::vector<int> listeners,
             AcceptLimits limits, ConnectionTaker& taker,
             CallerAddresses& callers);
  ~AcceptLoop();
  AcceptLoop(const AcceptLoop&) = delete;
  AcceptLoop& operator=(const AcceptLoop&) = delete;

  // Stops accepting, and closes waiting connections; handed ones stay open.
  // Idempotent.
  void Stop();
  // Makes the loop read the clock: for tests that advance it.
  void Wake();

  // How many connections there are, as far as the loop knows yet, and were ever
  // accepted. Safe.
  size_t open() const { return open_.load(std::memory_order_relaxed); }
  uint64_t accepted() const { return accepted_.value(); }

 private:
  using Id = uint64_t;
  using Ids = std::list<Id>;  // Oldest first.

  // All connections of one address.
  struct Group {
    size_t connections = 0;
    Ids waiting;
  };
  struct Connection {
    int descriptor = -1;
    bool handed = false;
    bool spoke = false;
    bool header_due =
        false;  // It comes from a proxy, and has not said for whom.
    uint64_t cookie = 0;
    std::string address;
    std::string group;   // The address under which it counts; empty: none.
    std::string peer;    // From a proxy: as gRPC calls it.
    std::string caller;  // Whom the proxy has named, in the same form.
    Instant deadline;
    Ids::iterator in_waiting;        // While waiting.
    Ids::iterator in_group_waiting;  // The same.
  };
  using Connections = std::unordered_map<Id, Connection>;

  void Run();
  int WaitMs() const;
  void Watch(int descriptor, Id id, uint32_t events) const;
  void Accept(int listener);
  // Rejects a connection when no descriptor is left. False: there is none to
  // reject, or it cannot.
  bool TurnAway(int listener);
  // Stops polling the listeners for a moment.
  void Pause();
  void Add(int descriptor, const sockaddr_storage& peer);
  bool IsProxy(const sockaddr_storage& peer) const;
  // Whether there is room for one more of `group`; makes room if possible.
  bool MakeRoom(const std::string& group);
  bool MakeRoomInGroup(const std::string& group);
  bool Full() const { return connections_.size() >= limits_.connections_max; }
  bool FullOf(const std::string& group) const;
  bool HalfFull(const std::string& group) const;
  void OnBytes(Id id);
  // The first bytes of a connection that waits, at most `bytes.size()`, which
  // stay unread. Empty: there are none yet; or it is gone, and forgotten.
  std::string_view Peek(Connections::iterator connection,
                        std::span<char> bytes);
  // Reads the header that is due. False: there is more to come, or it was
  // refused.
  bool TakeProxyHeader(Connections::iterator connection);
  // It is a connection of `caller` from now on. False: it was refused.
  bool CountFor(Connections::iterator connection,
                const sockaddr_storage& caller);
  void JoinGroup(Id id, Connection& connection, std::string group);
  void LeaveGroup(const Connection& connection);
  void AwaitGreeting(Id id);
  bool BeginsWithTls(const Connection& connection) const;
  void HandOn(Connections::iterator connection);
  void Refuse(Connections::iterator connection, Refusal refusal);
  void StopWaiting(Connection& connection);
  void Forget(Connections::iterator connection);
  void HandOnSilent();
  // Callers has the connection by its peer's name, and no ended one has it.
  void TellCaller(Id id, const Connection& connection);
  void ForgetDeparted();
  void CloseLate();
  void Sweep();

  // Constant after construction.
  const Clock& clock_;
  const std::vector<int> listeners_;
  const AcceptLimits limits_;
  ConnectionTaker& taker_;
  CallerAddresses& callers_;
  const int epoll_;
  const int wake_;

  std::atomic<bool> stop_ = false;
  std::atomic<size_t> open_ = 0;
  Cell accepted_;

  // Used by the thread alone.
  int reserve_;
  Id next_id_;
  Connections connections_;
  std::unordered_map<std::string, Group> groups_;
  Ids waiting_;
  // Connections that arrived within greeting_delay, perhaps including some that
  // no longer wait.
  std::deque<std::pair<Instant, Id>> newcomers_;
  // Proxies' connections that have ended, and their peers' names, until
  // `callers_` forgets them.
  struct Departed {
    Instant until;
    std::string peer;
    Id id;
  };
  std::deque<Departed> departed_;
  Instant swept_;
  Instant paused_until_;
  bool paused_ = false;

  std::thread thread_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_NETWORK_ACCEPT_LOOP_H_
