// Dispatcher: which work goes to which worker, and when.
//
// Ready work waits in a lane, one for each kind, tenant, name and version. It
// goes to a worker of that tenant that takes that lane and has a free slot: the
// longest-waiting work first, to the worker with the least to do. So a name
// that no worker takes does not delay other work, and a slow worker does not
// delay other workers.
//
// The takers of a lane are the workers whose filters name it; if there are
// none, workers without filters that have not disowned the name; if there are
// none, a last resort. A silent worker (one that does not answer) comes after
// all that are not silent, except that a silent worker with a matching filter
// comes before a last resort, which may have something else of that name. A
// silent worker gets one item of each kind at a time, so that it can show that
// it answers.
//
//   idle ──Enqueue──▶ queued ──Next──▶ out ──End───▶ idle
//                       ▲               │
//                       └── PutBack, ───┘
//                           Disown
//
// Work has an owner, and goes out when its owner asks. Work of another owner
// that has waited longer comes first: it is offered, that is, it gets its slot,
// but stays queued until its owner asks, too.
//
// A worker that has gone gets nothing more; its entry stays until the owners
// have taken back what was out.
//
// Work gets a new token each time it goes out; the worker's answer names it.
// The token stays valid when the work is put back (a stopping worker may finish
// its work after its stream has ended), until the work goes out again.
//
// Thread-safety: none; callers synchronise.   Lifetime: work belongs to its
// owner, and is ended before it is destroyed.
#ifndef LEASEHOLD_SERVICE_DISPATCH_DISPATCHER_H_
#define LEASEHOLD_SERVICE_DISPATCH_DISPATCHER_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "service/dispatch/known_worker.h"
#include "service/dispatch/work_watch.h"
#include "service/dispatch/worker.h"

namespace leasehold {

// Identifies whoever has work to hand out. 0: nobody.
using OwnerId = uint32_t;

// Something for a worker to do. Owners derive from it.
struct Work : Watched {
  enum class State : uint8_t {
    kIdle,
    kQueued,
    kOut,  // With a worker.
  };

  // `tenant`: of those who may do it; outlives the work.
  Work(WorkKind kind, std::string_view tenant, std::string name,
       std::string version)
      : kind(kind),
        tenant(tenant),
        name(std::move(name)),
        version(std::move(version)) {}
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  // There are many of these: the order of members leaves no gaps.
  const WorkKind kind;
  // Set by the dispatcher, as worker, taker and token: only when the owner
  // calls it about this work.
  State state = State::kIdle;
  // A worker gets one such item at a time. Changes only while not queued.
  bool alone = false;
  bool offered = false;  // Used by the dispatcher.
  const std::string_view tenant;
  const std::string name;
  std::string version;  // Empty: none. Changes only while idle.

  WorkerId worker = 0;                      // The worker that has it; 0: none.
  std::shared_ptr<const WorkerInfo> taker;  // That worker.
  std::string token;                        // Of the last time it went out.

  // Used by the dispatcher.
  uint64_t ticket = 0;  // Its place in line, kept when it is put back.
  uint64_t moment = 0;  // When it went out, or was given more time.
  // Gave it back: other workers come first. Owners set it only while it is
  // idle.
  WorkerId avoid = 0;
  OwnerId owner = 0;
  // When it was queued the last time, by the clock of whoever queues it.
  int64_t queued_ns = 0;

 protected:
  ~Work() = default;
};

class Dispatcher {
 public:
  static constexpr size_t kSlotsByDefault = KnownWorker::kSlotsByDefault;
  static constexpr size_t kDisownedMax = 10'000;  // Per worker.

  // `secret` makes tokens hard to guess.
  explicit Dispatcher(uint64_t secret) : secret_(secret) {}

  // `now`: for WorkerStatus, as in Heard. 0: unknown.
  WorkerId AddWorker(WorkerOptions options, std::shared_ptr<WorkSink> sink,
                     WatchTime now = 0);
  // The worker gets nothing more. What it was offered is queued again; what is
  // out stays out until it is taken back. False: no such worker.
  bool CloseWorker(WorkerId id);
  // The work that is out with the worker, in queueing order.
  std::vector<Work*> WorkOf(WorkerId id) const;
  // nullptr: no such worker, or it has gone and nothing is out with it.
  std::shared_ptr<const WorkerInfo> FindWorker(WorkerId id) const;
  // The tenant's first connected worker with a number above `after`; nullopt:
  // there is none.
  std::optional<WorkerStatus> WorkerAfter(std::string_view tenant,
                                          WorkerId after) const;

  // Queues idle work, at the end.
  void Enqueue(Work& work);
  // The owner's next work, which has gone out with a new token. nullptr: it has
  // none, or there is no worker to take it. Work of others that comes before it
  // is offered to them.
  Work* Next(OwnerId owner);
  // The owners that were offered work since the last call.
  std::vector<OwnerId> TakeOffered() { return std::exchange(offered_, {}); }
  // The owner of the work that would go out next, or be offered; 0: none would.
  OwnerId OwnerOfNext() const;
  // The work that last went out with this token; nullptr: none.
  Work* Find(std::string_view token) const;
  // Ends work in any state: it becomes idle, and its slot free.
  void End(Work& work);
  // Takes work from its worker, and queues it again at its old place. `avoid`:
  // other workers come before this one; 0: none do.
  void PutBack(Work& work, WorkerId avoid = 0);
  // Takes work from its worker; it becomes idle, and its token stays valid.
  void SetAside(Work& work);
  // As PutBack; the worker does not know the name, and gets no more of it.
  // True: this was recorded (at most kDisownedMax names per worker).
  bool Disown(Work& work);
  // Forgets which workers disowned its name.
  void ForgetDisowned(const Work& work);

  // The connected workers that could take it, without last resorts.
  struct Reach {
    size_t workers = 0;  // Of its tenant.
    size_t takes = 0;    // Can get the work, as a last resort can.
    size_t disowns = 0;  // Do not know the name.
    size_t silent = 0;   // Take it, but do not answer.
  };
  Reach ReachOf(const Work& work) const;
  // What queued work waits for: the workers that would get it, and why none
  // does now.
  struct Outlook {
    Reach reach;
    bool offered = false;  // It has a slot: it goes out when its owner asks.
    // The best claim that a connected worker has to it: these get it.
    size_t takers = 0;  // With last resorts.
    // Of these takers' slots, all together.
    size_t used = 0;
    size_t slots = 0;
    // What keeps a taker from getting it, each taker counted once.
    size_t silent = 0;   // It does not answer.
    size_t full = 0;     // All its slots are in use.
    size_t unread = 0;   // It has too much unread.
    size_t suspect = 0;  // It has an item, as this one is, that goes alone.
  };
  // REQUIRES: the work is queued.
  Outlook OutlookOf(const Work& work) const;
  // Whether the work is queued and no connected worker takes it.
  bool IsUnwanted(const Work& work) const;
  // One item of each lane that has lost its last taker, or never had one, since
  // the last call, if the lane's first item is the owner's.
  std::vector<Work*> TakeNewlyUnwanted(OwnerId owner);
  // The owners for which it has something.
  std::vector<OwnerId> OwnersOfNewlyUnwanted() const;
  // How often a lane was noted for it so far.
  uint64_t unwanted_notes() const { return unwanted_notes_; }

  // Whether the work is queued and all its connected takers are silent.
  bool IsLeftToSilent(const Work& work) const;

  // Marks a worker that does not answer. False: it was marked already, or does
  // not exist.
  bool SetSilent(WorkerId id);
  // The worker has answered the work of this token. True: it was silent.
  bool Heard(WorkerId id, WorkKind kind, std::string_view token,
             WatchTime now = 0);
  bool IsSilent(WorkerId id) const;
  // Whether the worker of `work` has answered anything since it got the work,
  // or since the work was given more time.
  bool HasAnsweredSince(const Work& work) const;
  // Whether, since then, the worker has answered earlier items of this kind,
  // and no later ones: then `work` is still queued in the worker.
  bool IsBehind(const Work& work) const;
  // HasAnsweredSince and IsBehind count from now on.
  void GiveMoreTime(Work& work) { work.moment = ++last_moment_; }
  // The worker that last got this token; 0: the token is not ours.
  WorkerId WorkerOf(std::string_view token) const;
  // Whether there is such a worker, in that tenant.
  bool IsIn(std::string_view tenant, WorkerId id) const {
    const auto worker = workers_.find(id);
    return worker != workers_.end() && worker->second.options.tenant == tenant;
  }

  // The rule that its counts break; nullptr: none. Looks at all workers.
  const char* BrokenRule() const;

  // With what is offered.
  size_t queued() const;
  size_t out() const;
  // What there is of one kind, and who takes it. Looks at all workers.
  struct Totals {
    size_t queued = 0;  // With what is offered.
    size_t out = 0;
    size_t slots = 0;  // Of all connected workers.
    size_t used = 0;
  };
  Totals TotalsOf(WorkKind kind) const;
  struct TenantWorkers {
    size_t workers = 0;  // Connected, without last resorts.
    size_t last_resorts = 0;
    size_t silent = 0;  // Of both.
  };
  std::map<std::string, TenantWorkers> WorkersByTenant() const;
  // Without those that have gone.
  size_t workers() const { return workers_.size() - closed_; }
  // Queues that Next searches: one for each distinct set of takers.
  size_t queues() const;

 private:
  struct LaneKey {
    WorkKind kind;
    std::string tenant = {};
    std::string name = {};
    std::string version = {};
    bool alone = false;
    friend auto operator<=>(const LaneKey&, const LaneKey&) = default;
  };
  struct Lane {
    std::map<uint64_t, Work*> works;  // By ticket.
    // Its takers, free or not. Empty: the lane waits for one to connect.
    std::vector<WorkerId> takers;
    bool told = false;    // Reported as unwanted.
    uint64_t placed = 0;  // The ticket of its place in its queue.
  };
  using Lanes = std::map<LaneKey, Lane>;

  // Lanes with the same takers share a queue, whatever their names, so that
  // Next searches a few queues instead of thousands of lanes.
  struct QueueKey {
    std::vector<WorkerId> takers;
    bool alone = false;
    friend auto operator<=>(const QueueKey&, const QueueKey&) = default;
  };
  using Queue = std::map<uint64_t, Lane*>;  // By first ticket.

  static LaneKey LaneOf(const Work& work);
  uint64_t FingerprintOf(const Work& work) const;
  std::vector<WorkerId> TakersOf(const Work& work) const;
  // After a worker has connected or gone.
  void FindTakersAnew(bool note_unwanted);
  // Same, for the lanes of one name.
  void FindTakersOf(const Work& work);
  // Updates a lane's place in its queue when its takers or its first work may
  // have changed; removes it if it has none.
  void Place(const LaneKey& key, Lane& lane);
  void Unplace(const LaneKey& key, Lane& lane);
  // For a lane without takers.
  void NoteUnwanted(const LaneKey& key, Lane& lane);
  // The taker with a free slot that gets `work`; 0: none.
  WorkerId Choose(const Work& work, const std::vector<WorkerId>& takers) const;
  void Line(Work& work);
  void Unline(Work& work);
  struct Chosen {
    Work* work = nullptr;  // Null: nothing can go out.
    WorkerId worker = 0;
  };
  Chosen ChooseNext() const;
  // Gives queued work a slot of that worker.
  void TakeSlot(Work& work, WorkerId id);
  // Work that has a slot of that worker goes out.
  void GoOut(Work& work, WorkerId id);
  void Offer(const Chosen& chosen);
  // Takes away the slot of offered work, which is in no lane then.
  void Withdraw(Work& work);
  void FreeSlot(Work& work, WorkerId id);
  void TakeFromWorker(Work& work);
  std::string NewToken(WorkerId worker);
  uint64_t Seal(uint64_t number, WorkerId worker) const;
  // The serial number in a token.
  static uint64_t NumberOf(std::string_view token);

  const uint64_t secret_;
  uint64_t last_ticket_ = 0;
  uint64_t last_token_ = 0;
  uint64_t last_moment_ = 0;
  uint64_t last_served_ = 0;
  WorkerId last_worker_ = 0;
  std::map<WorkerId, KnownWorker> workers_;
  // Lanes with takers, and lanes without: the latter cost nothing, however many
  // there are.
  Lanes lanes_;
  Lanes unwanted_;
  std::array<std::map<QueueKey, Queue>, kWorkKinds> queues_;  // Of `lanes_`.
  // In lanes, without what is offered.
  std::array<size_t, kWorkKinds> queued_ = {};
  std::array<size_t, kWorkKinds> free_ = {};  // Of all workers.
  size_t closed_ = 0;                         // Workers that have gone.
  // What was offered to other owners than the one that asked.
  std::map<std::pair<OwnerId, uint64_t>, Chosen> offers_;  // By ticket.
  std::vector<OwnerId> offered_;
  absl::flat_hash_map<std::string, Work*> tokens_;
  std::vector<LaneKey> newly_unwanted_;
  uint64_t unwanted_notes_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DISPATCH_DISPATCHER_H_
