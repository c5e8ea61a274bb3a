// Dispatcher: which work goes to which worker, and when.
//
// Work that is ready stands in a lane, one for each kind, name and version. It
// goes to a worker that wants that lane and has a free slot: the work that has
// waited longest first, to the worker with the least to do. So a name that no
// worker wants holds up nothing else, and a slow worker holds up no other.
//
//   idle ──Enqueue──▶ queued ──Next──▶ out ──Take──▶ idle
//                       ▲               │
//                       └── PutBack, ───┘
//                           RemoveWorker
//
// Each time that work goes out it gets a new token, by which its worker names
// it later. The token stays good when the work is put back (a worker that is
// stopped may finish what it has after its stream is gone), until the work goes
// out anew.
//
// Thread-safety: none; callers synchronise.   Lifetime: work and sinks belong
// to the caller; work is taken out before it is destroyed.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_DISPATCHER_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_DISPATCHER_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace leasehold {

enum class WorkKind { kTurn, kActivity };
inline constexpr size_t kWorkKinds = 2;

using WorkerId = uint64_t;

// Something for a worker to do. Derived from by whoever knows what it is.
struct Work {
  enum class State {
    kIdle,
    kQueued,
    kOut,  // A worker has it.
  };

  Work(WorkKind kind, std::string name, std::string version)
      : kind(kind), name(std::move(name)), version(std::move(version)) {}
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  const WorkKind kind;
  const std::string name;
  std::string version;  // Empty: none. Changes only while it is idle.
  // A worker has one such at a time. Changes only while it is not queued.
  bool alone = false;

  // The dispatcher's.
  State state = State::kIdle;
  uint64_t ticket = 0;  // Its place in line, kept when it is put back.
  WorkerId worker = 0;  // Who has it; 0: nobody.
  WorkerId avoid = 0;   // Who gave it back: others come first.
  std::string token;    // Of the last time that it went out.

 protected:
  ~Work() = default;
};

// Names and versions that a worker takes.
struct WorkFilter {
  std::string name;                   // Upper and lower case are the same.
  std::vector<std::string> versions;  // Empty: any; "": those without.
};

struct WorkerOptions {
  // Work of each kind that it may have at a time; 0: as many as is usual.
  std::array<size_t, kWorkKinds> slots = {0, 0};
  // What it takes of each kind: nullopt: everything; an empty list: nothing.
  std::array<std::optional<std::vector<WorkFilter>>, kWorkKinds> filters;
  // Gets only what no other worker would take, were it free; and only if the
  // name is the very same.
  bool last_resort = false;
  // Fetches long histories by itself.
  bool streams_history = false;
};

// Where a worker's work goes to. Called from any thread, without a lock; must
// not block.
class WorkSink {
 public:
  virtual ~WorkSink() = default;
  // An encoded WorkItem.
  virtual void Send(std::string item) = 0;
};

class Dispatcher {
 public:
  static constexpr size_t kSlotsByDefault = 100;

  struct Assignment {
    Work* work;
    std::shared_ptr<WorkSink> sink;
  };

  // `secret` makes tokens hard to guess.
  explicit Dispatcher(uint64_t secret) : secret_(secret) {}

  WorkerId AddWorker(WorkerOptions options, std::shared_ptr<WorkSink> sink);
  // Puts all back that the worker has.
  void RemoveWorker(WorkerId id);
  // What the worker has, in the order in which it waited.
  std::vector<Work*> WorkOf(WorkerId id) const;
  std::shared_ptr<WorkSink> FindSink(WorkerId id) const;
  bool StreamsHistory(WorkerId id) const;

  // Lines idle work up, at the end.
  void Enqueue(Work& work);
  // The next work to go out, with its worker; its token is new. nullopt: there
  // is none, or nobody to take it.
  std::optional<Assignment> Next();
  // What has gone out last with this token; nullptr: nothing.
  Work* Find(std::string_view token) const;
  // Ends it, whatever its state: it is idle, and its slot is free.
  void Take(Work& work);
  // Takes it from its worker, and lines it up again where it stood.
  void PutBack(Work& work);
  // Takes it from its worker; it is idle then, and its token stays good.
  void Hold(Work& work);

  // Forgets all work, as if it never was. Workers stay.
  void Clear();

  size_t queued() const { return queued_[0] + queued_[1]; }
  size_t workers() const { return workers_.size(); }

 private:
  struct LaneKey {
    WorkKind kind;
    std::string name = {};
    std::string version = {};
    bool alone = false;
    friend auto operator<=>(const LaneKey&, const LaneKey&) = default;
  };
  struct Lane {
    std::map<uint64_t, Work*> works;  // By ticket.
    // Who wants it, free or not. None: it waits for somebody to come.
    std::vector<WorkerId> takers;
  };
  using Lanes = std::map<LaneKey, Lane>;

  struct Worker {
    WorkerOptions options;
    std::shared_ptr<WorkSink> sink;
    std::array<size_t, kWorkKinds> out = {0, 0};
    size_t alone = 0;                      // How many of these are so.
    std::map<uint64_t, Work*> works = {};  // By ticket.
    uint64_t served = 0;                   // When it was given something last.
  };

  static LaneKey LaneOf(const Work& work);
  static bool Wants(const Worker& worker, const Work& work);
  std::vector<WorkerId> TakersOf(const Work& work) const;
  // After a worker has come or gone.
  void FindTakersAnew();
  // Who is to get `work`, of those with a free slot; 0: nobody.
  WorkerId Choose(const Work& work, const std::vector<WorkerId>& takers) const;
  void Line(Work& work);
  void Unline(Work& work);
  void TakeFromWorker(Work& work);
  std::string NewToken();

  const uint64_t secret_;
  uint64_t last_ticket_ = 0;
  uint64_t last_token_ = 0;
  uint64_t last_served_ = 0;
  WorkerId last_worker_ = 0;
  std::map<WorkerId, Worker> workers_;
  // Those that somebody wants, and those that nobody does: however many these
  // are, they cost nothing.
  Lanes lanes_;
  Lanes unwanted_;
  std::array<size_t, kWorkKinds> queued_ = {0, 0};
  std::array<size_t, kWorkKinds> free_ = {0, 0};  // Slots of all workers.
  absl::flat_hash_map<std::string, Work*> tokens_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_DISPATCHER_H_
