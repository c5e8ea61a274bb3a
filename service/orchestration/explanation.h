// Explanation: why nothing happens with an instance: causes, each with its
// facts, and a sentence.
//
// What there is under an ID is asked in this order: its orchestration or
// entity, then its instance context. The first cause is the one that counts
// most.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_EXPLANATION_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_EXPLANATION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "service/dispatch/dispatcher.h"
#include "service/instance/instance_info.h"
#include "service/instance/instance_key.h"

namespace leasehold {

// One reason. Which members are set depends on its kind.
struct Cause {
  // Numbers as in the contract.
  enum class Kind {
    // ---- Of an instance context ----
    kHeld = 1,   // A call that stays open keeps it busy: `pin`, `who`, `age`.
    kCalls = 2,  // Other calls keep it busy: `count`.
    kWorkHeld = 3,  // Work that is with workers keeps it busy, `count` items,
                    // and no other cause says which.
    kOpening = 4,   // Its initializers run.
    kClosing = 5,   // Its extensions are being detached.
    kLease = 6,     // It is idle: its lease ends in `age`.
    kProvider = 7,  // It is idle, and the server's policy keeps it.

    // ---- Of work: `work`, `name`, `version`, `attempt`, `failure` ----
    kNoWorker = 8,  // No worker is connected.
    kNotTaken = 9,  // Workers are connected, but none takes it: `outlook`.
    kNotRegistered = 10,  // All that would take it have said that they do not
                          // know it: `outlook`.
    kSilent = 11,         // None that takes it answers: `outlook`.
    kNoSlot = 12,   // All slots of those that take it are in use: `outlook`.
    kUnread = 13,   // They have too much unread: `outlook`.
    kSuspect = 14,  // It was lost, and goes out alone; those that take it have
                    // other such work: `outlook`, `count` losses.
    kReady = 15,    // It is about to go out.
    kLoading = 16,  // It is being prepared for `worker`.
    kWithWorker = 17,  // `worker`, `who`, `age`; `silent`: does not answer.
    kDelayed = 18,     // It goes out again in `age`; `count`: times it was lost
                       // or given back in a row; or `reason`: why its context
                       // did not open.

    // ---- Of an orchestration ----
    kSetAside = 19,     // It cannot be read: `reason`.
    kStoreFailed = 20,  // The store cannot be written: `reason`.
    kStoring = 21,      // `name` of it is being stored.
    kScheduled = 22,    // Its start is scheduled for `at`.
    kSuspended = 23,    // Since `at`: `reason`; `count` messages wait.
    kRetry = 24,        // `name` is tried again at `at`: `attempt`, `failure`.
    kTimer = 25,        // A timer that fires at `at`.
    kEvent = 26,        // An event from outside, one of `names`; none: unknown.
    kChild = 27,        // The sub-orchestration `instance_id`, with `status`.
    kEntityCall = 28,   // The answer of the entity `instance_id` to `name`; if
                        // it is locked, by `holder` since `at`.
    kEntityLock = 29,   // The lock of the entity `instance_id`, which `holder`
                        // has had since `at`; no holder: it is about to get it.
    kEnded = 30,        // At `at`, with `status`; `failure`.
    kOpenLimit = 31,    // There is none, and none could be started: `count` are
                        // open, and `limit` may be.

    // ---- Of an entity ----
    kLocked = 32,    // By `holder` since `at`, until `until`.
    kMessages = 33,  // `count` messages wait; the first is `name` of `holder`.
    kLater = 34,  // `count` messages wait for their time, the first until `at`.
    kNothing = 35,  // Nothing waits for it.

    // What callers begin is refused: the tenant has `count` bytes stored, and
    // `limit` may be.
    kStoredLimit = 36,
  };

  Kind kind = Kind::kNothing;
  PinKind pin = PinKind::kCall;
  PinHolder who = {};
  WorkKind work = WorkKind::kTurn;
  std::string name = {};
  std::string version = {};
  std::string instance_id = {};
  std::string holder = {};  // The instance ID of an orchestration.
  std::vector<std::string> names = {};
  std::string status = {};  // As StatusName.
  std::string reason = {};
  std::string failure = {};  // Of the attempt before, or at the end.
  WorkerId worker = 0;
  bool silent = false;
  int attempt = 0;  // From 1 on; 0: not known.
  uint64_t count = 0;
  uint64_t limit = 0;
  std::optional<absl::Duration> age = {};
  std::optional<absl::Time> at = {};
  std::optional<absl::Time> until = {};
  std::optional<Dispatcher::Outlook> outlook = {};
};

struct Explanation {
  enum class Subject { kContext, kOrchestration, kEntity };

  InstanceKey key;
  Subject subject = Subject::kContext;
  std::string name = {};    // Of the orchestrator.
  std::string status = {};  // Of an orchestration, as StatusName.
  uint64_t generation = 0;  // Of the instance context; 0: there is none.
  std::vector<Cause> causes = {};
  size_t more = 0;  // Causes that were left out.

  // Calls `each` with every peer in it, which may change it.
  void ForEachPeer(absl::FunctionRef<void(std::string& peer)> each);
};

// The cause as a clause, such as `it has been suspended since ...`.
std::string TextOf(const Cause& cause);
// For people: what it is, and the causes that count most.
std::string SentenceOf(const Explanation& explanation);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_EXPLANATION_H_
