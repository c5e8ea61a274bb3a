// InstanceModel: what a registry promises its callers, in its simplest form.
//
// One entry per key, and everything happens at once. The world reports what
// callers do, and the model says what they must be answered; the world reports
// what the registry does, and the model says which promise that breaks, if any.
// It knows no lock, wheel, word or reference: only states, pins, times and
// waiters.
//
// Thread-safety: one thread.   Lifetime: a value.
#ifndef LEASEHOLD_TESTS_SIMULATION_INSTANCE_MODEL_H_
#define LEASEHOLD_TESTS_SIMULATION_INSTANCE_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/instance/instance_headers.h"
#include "service/instance/instance_observer.h"

namespace leasehold {

// The promises.
enum class Rule {
  kOneContext,       // At most one context of a key is alive.
  kBusyStaysOpen,    // A context with a pin does not close.
  kNeverEarly,       // No lease ends before last use + idle timeout.
  kGoneInTime,       // Idle and over for a tick: gone, once all tasks have run.
  kAnswer,           // Every call gets the right answer for its moment.
  kAnswered,         // Nobody waits forever.
  kGenerationGrows,  // A later context of a key has a higher generation.
  kHookOrder,        // In reverse order, one after another, with reasons.
  kHookOnce,         // Each hook runs once, and on the executor.
  kEventOrder,       // Created, (busy, idle), expired, closing, closed.
  kDescribed,        // What is reported of a context is true.
  kProvider,     // Called back first, asked only when idle, never in parallel.
  kNothingLeft,  // After Shutdown nothing is left.
};
std::string_view RuleName(Rule rule);

struct Violation {
  Rule rule;
  std::string what;
};

class InstanceModel {
 public:
  struct Options {
    int keys = 1;
    bool leased = true;
    bool initializers = false;
    bool use_events = false;
    absl::Duration idle_timeout;
    absl::Duration idle_timeout_min;
    absl::Duration idle_timeout_max;
    size_t contexts_max = 0;
    bool evict_idle = false;
    absl::Duration detach_timeout;
    absl::Duration tick = absl::Milliseconds(1);
  };
  struct Answer {
    absl::StatusCode code = absl::StatusCode::kOk;
    bool created = false;
  };
  enum class State { kNone, kOpening, kOpen, kClosing };

  explicit InstanceModel(const Options& options)
      : options_(options), contexts_(options.keys), last_(options.keys) {}

  // ---- What callers do. Reported before the registry is called.

  // The call's immediate answer; nothing: it waits. `promised`: it has waited
  // for the key, and gets it even at the limit.
  std::optional<Answer> Acquire(int call, int key,
                                const InstanceRequest& request, Instant now,
                                bool promised = false);
  void Cancel(int call, int key);
  void AddPin(int key) { ++contexts_[key].pins; }
  void DropPin(int key, Instant now);
  // A long-term holder's pin begins; ends.
  void AddHold(int key) { ++contexts_[key].holds; }
  void DropHold(int key, Instant now);
  // The provider calls back about that context, which may be gone.
  void CallBack(int key, uint64_t generation);
  absl::StatusCode KeepAlive(int key, Instant now);
  absl::StatusCode SetIdleTimeout(int key, absl::Duration timeout);
  // `told`: the callback to call once when the context is gone; below 0: none.
  absl::StatusCode Release(int key, bool force, int told);
  void Shutdown();

  // ---- What the registry does. Reported as it happens.

  void OnEvent(int key, const InstanceEvent& event, Instant now);
  // A call that waited is answered, with OK from the context `generation`.
  void OnAnswer(int call, int key, Answer answer, uint64_t generation,
                Instant now);
  // An Acquire that needed room has closed this context.
  void OnEvicted(int key);
  // The callback of a Release.
  void OnToldClosed(int told);
  // Initializer `step` of a key begins; answers.
  void OnInitializer(int key, uint64_t generation, int step);
  void OnInitialized(int key, absl::StatusCode code);
  // An extension is attached; removed at run time; its hook begins; answers.
  void OnAttach(int key, uint64_t generation, int extension);
  void OnRemove(int key, int extension);
  void OnDetach(int key, uint64_t generation, int extension,
                DetachReason reason, Instant now);
  void OnDetached(int key, bool ok);
  // The provider is asked whether a context is idle.
  void OnAsked(int key, uint64_t generation, Instant now);
  // The lease manager has handed out that many leases.
  void OnLeasesOver(size_t count, Instant now);

  // ---- Checks between steps; when all tasks have run; at the end.

  void CheckStep();
  // `hooks_answer`: everything that had to answer has done so.
  void CheckSettled(Instant now, bool hooks_answer);
  void CheckEnd();

  State state(int key) const { return contexts_[key].state; }
  size_t pins(int key) const { return contexts_[key].pins; }
  size_t holds(int key) const { return contexts_[key].holds; }
  uint64_t generation(int key) const { return contexts_[key].generation; }
  absl::Duration timeout(int key) const { return contexts_[key].timeout; }
  bool shutting_down() const { return shutting_down_; }
  // The previous Acquire needed room, and has not said how it got it.
  bool evicting() const { return evicting_ > 0; }
  // Its hooks have exceeded the detach timeout: waiters may be told so.
  bool HooksMayHang(int key, Instant now) const;
  // Last use + idle timeout.
  Instant deadline(int key) const {
    return contexts_[key].last_use + contexts_[key].timeout;
  }
  size_t contexts() const;
  size_t live() const;  // Opening or open.

  // The first promise that was broken.
  const std::optional<Violation>& violation() const { return violation_; }
  void Require(bool kept, Rule rule, std::string_view what, int key = -1);

 private:
  struct Waiter {
    int call;
    InstanceRequest request;
    bool opens;
  };
  struct Context {
    State state = State::kNone;
    uint64_t generation = 0;  // 0: not seen yet.
    size_t pins = 0;
    size_t holds = 0;  // Of these pins.
    Instant last_use;
    absl::Duration timeout;
    bool timeout_chosen = false;  // Services do not make it longer.
    bool created_told = false;
    bool idle_told = false;
    bool closing_told = false;
    DetachReason reason = DetachReason::kIdle;
    int initialized = 0;  // Initializers that answered OK.
    absl::StatusCode failure = absl::StatusCode::kOk;  // Of an initializer.
    std::vector<int> attached;  // In order; each leaves as its hook begins.
    bool hook_runs = false;
    bool hook_failed = false;  // And kDetachFailed has yet to come.
    // How often the provider may still be asked, without a lease: once after
    // each event, and once more if that came between a question and the close.
    int questions = 0;
    std::optional<Instant> hooks_since;  // When its closing began.
    std::deque<Waiter> waiters;
    std::vector<int> told;  // When it is gone.
  };

  // `key` has a context of that generation.
  void See(int key, uint64_t generation);
  void OnCreated(int key, Instant now);
  // Events that end a context.
  void OnEndEvent(int key, const InstanceEvent& event, Instant now);
  void Close(Context& context, DetachReason reason);
  absl::Duration Bounded(absl::Duration timeout) const;
  // A service wants the context's idle timeout to be at least this.
  void Touch(Context& context, const InstanceRequest& request);
  // The context is gone; its waiters come again, or get `failure`.
  void Gone(int key, absl::StatusCode failure, Instant now);

  const Options options_;
  bool shutting_down_ = false;
  size_t evicting_ = 0;  // Contexts that must go; which ones is unknown.
  std::vector<Context> contexts_;
  std::vector<uint64_t> last_;  // The highest generation of each key.
  std::map<int, Answer> owed_;  // To calls that waited.
  std::vector<int> to_tell_;    // Of contexts that are gone.
  std::optional<Violation> violation_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_INSTANCE_MODEL_H_
