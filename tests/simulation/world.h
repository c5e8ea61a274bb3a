// World: a registry in which a seed decides what happens. See instance_world.h.
//
// Its steps, what the threads of a server might do, are in world_steps.cc; the
// rest is in instance_world.cc.
//
// Thread-safety: one thread.   Lifetime: random and counts outlive it.
#ifndef LEASEHOLD_TESTS_SIMULATION_WORLD_H_
#define LEASEHOLD_TESTS_SIMULATION_WORLD_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "service/instance/instance_registry.h"
#include "tests/simulation/instance_inhabitants.h"
#include "tests/simulation/instance_world.h"
#include "tests/support/manual_executor.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {

class World final : public InstanceContextProvider, public InstanceObserver {
 public:
  World(Random& random, WorldCounts& counts);

  void Run();

  const InstanceModel& model() const { return model_; }
  std::string Trace() const;

  // InstanceContextProvider:
  std::optional<InstanceKey> KeyOf(const InstanceRequest& request) override;
  bool Leased() const override { return setup_.model.leased; }
  void NotifyIdle(IdleCallback callback, InstanceContext& context) override;
  bool IsIdle(InstanceContext& context) override;
  // InstanceObserver:
  void OnEvent(const InstanceEvent& event) override;

  // Called by extensions, initializers and calls.
  int Born(Probe& probe);
  void Died(Probe& probe);
  void Attached(Probe& probe);
  void Detach(Probe& probe, DetachReason reason, HookDone done);
  void Initialize(InstanceContext& context, int step, HookDone done);
  void Granted(Call& call, const absl::StatusOr<PinGrant>& grant);

 private:
  static constexpr int kKinds = 3;

  // Which context a call gets.
  enum class Mode { kNamed, kSingle, kPerCall };
  // What a seed decides about a whole world.
  struct Setup {
    InstanceModel::Options model;
    Mode mode;
    int initializers;
    bool hooks_answer_later;
    bool hooks_fail;
    bool vetoes;
    int steps;
    int shutdown_at;  // A step; -1: at the end.
  };
  struct PendingHook {
    HookDone done;
    int key;
    DetachReason reason;
    bool initializer;
  };
  struct Callback {
    IdleCallback call;
    int key;
    uint64_t generation;
  };
  struct TraceLine {
    Instant time;
    std::string_view what;
    int64_t a;
    int64_t b;
  };

  static Setup Draw(Random& random);
  InstanceKey KeyOf(int key) const;
  int KeyOf(std::string_view tenant, std::string_view id) const;
  int KeyOf(const InstanceContext& context) const {
    return KeyOf(context.tenant(), context.id());
  }

  bool Broken() const { return model_.violation().has_value(); }
  bool Draw(uint64_t n) { return OneIn(random_, n); }
  int Draw(int low, int high) {
    return static_cast<int>(Uniform(random_, low, high));
  }
  int AnyKey() {
    if (target_ >= 0 && !Draw(4)) return target_;
    return Draw(0, setup_.model.keys - 1);
  }
  void Note(std::string_view what, int64_t a = -1, int64_t b = -1) {
    trace_[traced_++ % trace_.size()] = {clock_.Now(), what, a, b};
  }

  // The steps.
  void Step();
  void StartCall();
  int ChooseKey(InstanceRequest& request);
  // Finds out which context made room for the one that was just created.
  void LookForEvicted(int key);
  void DropPin();
  void HoldPin();
  void DropHold();
  void KeepAlive();
  void SetIdleTimeout();
  void LookAtOne();
  void LookAtAll();
  void ClonePin();
  void UseExtension();
  void RemoveExtension();
  void EndRemoval(int key);
  void CancelCall();
  void PassTime();
  void RunDue();
  void RunTask();
  void AnswerHook();
  void Release();
  void CallBack();
  void BeginShutdown();
  // Runs until nothing is left to do now, then checks that everything is as it
  // must be.
  void Settle();
  // The same while no hook answers, for as long as they may take.
  void LetHooksHang();
  // Steps of other threads, during user code for a key; most of them use the
  // same key.
  void Meanwhile(int key);

  // Makes a hook answer, one way or another. `answered` is called first.
  void Behave(PendingHook hook, bool may_fail);
  void Answer(PendingHook hook, absl::Status status);
  void TellAnswered(const PendingHook& hook, absl::StatusCode code);
  void OnShutdownDone();

  template <int Kind>
  Probe* Get(InstanceContext& context, int key, bool attach) {
    return attach ? context.GetOrAttach<ProbeOf<Kind>>(*this, key,
                                                       context.generation())
                  : context.Get<ProbeOf<Kind>>();
  }
  Probe* Get(InstanceContext& context, int key, int kind, bool attach) {
    switch (kind) {
      case 0:
        return Get<0>(context, key, attach);
      case 1:
        return Get<1>(context, key, attach);
      default:
        return Get<2>(context, key, attach);
    }
  }
  Call* AnyCall(bool waiting);

  Random& random_;
  WorldCounts& counts_;
  const Setup setup_;
  InstanceModel model_;
  SimulatedClock clock_;
  ManualExecutor executor_;
  std::vector<std::unique_ptr<Initializer>> initializers_;
  std::unique_ptr<InstanceRegistry> registry_;

  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<std::unique_ptr<Holding>> holdings_;
  std::vector<PendingHook> hooks_;           // To be answered later.
  std::vector<HookDone> stale_hooks_;        // Of hooks that threw.
  std::vector<Probe*> probes_;               // Alive.
  std::deque<Callback> callbacks_;           // A sample of them.
  std::vector<IdleCallback> last_callback_;  // Per key; may be empty.
  std::vector<uint64_t> handed_callback_;    // Generation, per key.
  std::vector<bool> being_asked_;            // Per key.
  // Per key: extensions being removed, and those among them whose pin is gone
  // and whose `done` has yet to be called.
  std::vector<int> removals_;
  std::vector<int> ended_removals_;
  int next_number_ = 0;
  std::optional<InstanceKey> fresh_key_;  // For kPerCall: the next call's.
  int depth_ = 0;                         // Nesting of Meanwhile.
  int target_ = -1;   // The key that most steps use; below 0: none.
  int in_hooks_ = 0;  // User code on the stack.
  bool settling_ = false;
  bool shutting_down_ = false;
  int done_ = 0;
  bool destroy_in_done_ = false;

  std::array<TraceLine, 64> trace_;
  size_t traced_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_WORLD_H_
