// Workers, as they are known to whoever hands out work: what each takes, and
// where its items go.
//
// Thread-safety: values; see WorkSink.
#ifndef LEASEHOLD_SERVICE_DISPATCH_WORKER_H_
#define LEASEHOLD_SERVICE_DISPATCH_WORKER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace leasehold {

enum class WorkKind { kTurn, kActivity, kEntity };
inline constexpr size_t kWorkKinds = 3;

// Where an array with one element for each kind has that of `kind`.
inline constexpr size_t Index(WorkKind kind) {
  return static_cast<size_t>(kind);
}

using WorkerId = uint64_t;

// Names and versions that a worker takes.
struct WorkFilter {
  std::string name;                   // Case-insensitive.
  std::vector<std::string> versions;  // Empty: any; "": those without.
};

struct WorkerOptions {
  // It gets work of this tenant, and of no other.
  std::string tenant = {};
  // Maximum work of each kind at a time; 0: the default.
  std::array<size_t, kWorkKinds> slots = {};
  // What it takes of each kind: nullopt: everything; an empty list: nothing.
  std::array<std::optional<std::vector<WorkFilter>>, kWorkKinds> filters = {};
  // Gets only work that no other worker would take, even if it were free; and
  // only if the name matches exactly.
  bool last_resort = false;
  // Fetches long histories itself.
  bool streams_history = false;
  // For people: its address; who it is, if the server knows its callers; and
  // what it says of its SDK and of its gRPC library.
  std::string peer = {};
  std::string identity = {};
  std::string sdk = {};
  std::string user_agent = {};
};

// Receives a worker's items. Called from any thread; must not block.
class WorkSink {
 public:
  // A worker with more unread bytes than this gets nothing else.
  static constexpr size_t kUntakenBytesMax = 4 << 20;

  virtual ~WorkSink() = default;
  // Sends an encoded WorkItem. Called without a lock.
  virtual void Send(std::string item) = 0;

  // An item of this many bytes is about to be sent. This and untaken are called
  // under locks, and only count.
  virtual void Announce(size_t) {}
  // How many of the announced bytes the worker has not read yet.
  virtual size_t untaken() const { return 0; }
};

// A worker, as whoever has work with it sees it. Stays as it is when the worker
// goes.
struct WorkerInfo {
  // The worker has too much unread.
  bool IsFull() const {
    return sink != nullptr && sink->untaken() > WorkSink::kUntakenBytesMax;
  }

  WorkerId id = 0;
  std::shared_ptr<WorkSink> sink;
  bool last_resort = false;
  bool streams_history = false;
  std::string peer;  // Empty: unknown.
};

// How it stands with a connected worker, for people.
struct WorkerStatus {
  struct Kind {
    bool all = false;  // It takes every name that it has not disowned.
    // Otherwise the first of the names that it takes, and how many these are.
    std::vector<WorkFilter> takes = {};
    size_t names = 0;
    size_t used = 0;  // Slots.
    size_t slots = 0;
  };

  WorkerId id = 0;
  std::string peer = {};
  std::string identity = {};
  std::string sdk = {};
  std::string user_agent = {};
  bool last_resort = false;
  bool silent = false;
  size_t untaken = 0;   // As of its sink.
  size_t disowned = 0;  // Names that it has said it does not know.
  // In microseconds on a monotonic clock, as its connection and its answers
  // were reported.
  int64_t connected = 0;
  int64_t last_seen = 0;
  std::array<Kind, kWorkKinds> kinds = {};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DISPATCH_WORKER_H_
