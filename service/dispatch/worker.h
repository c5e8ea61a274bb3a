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
  // Its address, for people.
  std::string peer = {};
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

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DISPATCH_WORKER_H_
