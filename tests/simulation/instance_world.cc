#include "tests/simulation/instance_world.h"

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/instance/held_pin.h"
#include "service/instance/instance_registry.h"
#include "tests/support/manual_executor.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

class World;

// An extension that reports the events of its life to the world.
class Probe : public Extension {
 public:
  Probe(World& world, int key, uint64_t generation);
  ~Probe() override;
  void OnAttach(InstanceContext& context) override;
  void OnDetach(InstanceContext& context, DetachReason reason,
                HookDone done) override;

  int number() const { return number_; }
  int key() const { return key_; }
  uint64_t generation() const { return generation_; }
  bool removed() const { return removed_; }
  void set_removed() { removed_ = true; }
  uint64_t Count() { return ++uses_; }

 private:
  World& world_;
  const int number_;
  const int key_;
  const uint64_t generation_;
  bool removed_ = false;  // Detached while the context lives on.
  uint64_t uses_ = 0;
};

// A context holds one extension of each type.
template <int Kind>
class ProbeOf final : public Probe {
 public:
  using Probe::Probe;
  bool MayBlock() const override { return Kind == 0; }
};

class Initializer final : public ContextInitializer {
 public:
  Initializer(World& world, int step) : world_(world), step_(step) {}
  void Initialize(InstanceContext& context, const InitializerRequest& request,
                  HookDone done) override;

 private:
  World& world_;
  const int step_;
};

class Call final : public PinWaiter {
 public:
  Call(World& world, int number, int key, InstanceRequest request)
      : PinWaiter(std::move(request)),
        number(number),
        key(key),
        world_(world) {}
  void OnGrant(absl::StatusOr<PinGrant> grant) override;

  const int number;
  const int key;
  bool waiting = false;
  std::vector<Pin> pins;

 private:
  World& world_;
};

// A long-term holder's pin, and the listener that tells it to let go.
struct Holding {
  struct Listener final : ReleaseListener {
    void OnForcedRelease() override { ++told; }
    int told = 0;
  };

  Holding(Pin pin, PinKind kind, int of_key, bool already_released)
      : key(of_key),
        to_tell(already_released),
        listener(std::make_shared<Listener>()),
        pin(std::move(pin), kind, listener) {}

  const int key;
  int to_tell;  // Remaining calls: none or one.
  const std::shared_ptr<Listener> listener;
  const HeldPin pin;
};

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

// ---- The inhabitants

Probe::Probe(World& world, int key, uint64_t generation)
    : world_(world),
      number_(world.Born(*this)),
      key_(key),
      generation_(generation) {}
Probe::~Probe() { world_.Died(*this); }
void Probe::OnAttach(InstanceContext&) { world_.Attached(*this); }
void Probe::OnDetach(InstanceContext&, DetachReason reason, HookDone done) {
  world_.Detach(*this, reason, std::move(done));
}

void Initializer::Initialize(InstanceContext& context,
                             const InitializerRequest&, HookDone done) {
  world_.Initialize(context, step_, std::move(done));
}

void Call::OnGrant(absl::StatusOr<PinGrant> grant) {
  world_.Granted(*this, grant);
  if (grant.ok()) pins.push_back(std::move(grant->pin));
}

// ---- The world

World::Setup World::Draw(Random& random) {
  Setup setup;
  setup.mode = OneIn(random, 10)   ? Mode::kSingle
               : OneIn(random, 10) ? Mode::kPerCall
                                   : Mode::kNamed;
  setup.model.keys = setup.mode == Mode::kPerCall
                         ? 12
                         : static_cast<int>(Uniform(random, 1, 4));
  setup.model.leased = setup.mode != Mode::kPerCall && !OneIn(random, 5);
  setup.model.use_events = OneIn(random, 3);
  setup.model.idle_timeout = absl::Milliseconds(20);
  setup.model.idle_timeout_min = absl::Milliseconds(10);
  setup.model.idle_timeout_max = absl::Seconds(1);
  setup.model.contexts_max = OneIn(random, 4) ? Uniform(random, 1, 3) : 100;
  setup.model.evict_idle = OneIn(random, 2);
  setup.model.detach_timeout = absl::Milliseconds(OneIn(random, 2) ? 30 : 300);
  setup.initializers = OneIn(random, 2) ? 0 : 1 + OneIn(random, 2);
  setup.model.initializers = setup.initializers > 0;
  setup.hooks_answer_later = !OneIn(random, 4);
  setup.hooks_fail = OneIn(random, 2);
  setup.vetoes = OneIn(random, 3);
  setup.steps = static_cast<int>(Uniform(random, 50, 750));
  setup.shutdown_at =
      OneIn(random, 3) ? static_cast<int>(Uniform(random, 0, setup.steps)) : -1;
  return setup;
}

World::World(Random& random, WorldCounts& counts)
    : random_(random),
      counts_(counts),
      setup_(Draw(random)),
      model_(setup_.model),
      // Ticks do not begin at whole milliseconds.
      clock_(Instant{
          static_cast<int64_t>(Uniform(random, 1'000'000'000, 1'010'000'000))}),
      last_callback_(setup_.model.keys),
      handed_callback_(setup_.model.keys),
      being_asked_(setup_.model.keys),
      removals_(setup_.model.keys),
      ended_removals_(setup_.model.keys),
      destroy_in_done_(OneIn(random, 2)) {
  std::vector<ContextInitializer*> initializers;
  for (int i = 0; i < setup_.initializers; ++i) {
    initializers_.push_back(std::make_unique<Initializer>(*this, i));
    initializers.push_back(initializers_.back().get());
  }
  registry_ = std::make_unique<InstanceRegistry>(
      clock_, executor_, *this, std::move(initializers),
      std::vector<InstanceObserver*>{this},
      InstanceRegistryOptions{.idle_timeout = setup_.model.idle_timeout,
                              .idle_timeout_min = setup_.model.idle_timeout_min,
                              .idle_timeout_max = setup_.model.idle_timeout_max,
                              .contexts_max = setup_.model.contexts_max,
                              .evict_idle = setup_.model.evict_idle,
                              .detach_timeout = setup_.model.detach_timeout,
                              .open_timeout = absl::InfiniteDuration()});
  if (setup_.model.use_events) registry_->WatchUse();
}

// Two tenants have instances of the same names.
InstanceKey World::KeyOf(int key) const {
  return {.tenant = key % 2 == 0 ? "red" : "blue",
          .id = std::string(1, static_cast<char>('a' + key / 2))};
}

int World::KeyOf(std::string_view tenant, std::string_view id) const {
  return (tenant == "red" ? 0 : 1) + 2 * (id[0] - 'a');
}

std::optional<InstanceKey> World::KeyOf(const InstanceRequest&) {
  switch (setup_.mode) {
    case Mode::kNamed:
      return std::nullopt;
    case Mode::kSingle:
      return KeyOf(0);
    case Mode::kPerCall:
      return fresh_key_;
  }
  return std::nullopt;
}

void World::Run() {
  for (int i = 0; i < setup_.steps && !Broken(); ++i) {
    if (i == setup_.shutdown_at) {
      ++counts_.shutdowns_midway;
      BeginShutdown();
    }
    Step();
    model_.CheckStep();
    ++counts_.steps;
  }
  if (Broken()) return;
  if (!shutting_down_) BeginShutdown();
  for (;;) {
    // Calls that waited for an opening may only get their pin now.
    while ((AnyCall(/*waiting=*/false) != nullptr || !holdings_.empty()) &&
           !Broken()) {
      DropPin();
      DropHold();
      if (Draw(2)) RunTask();
      if (Draw(4)) AnswerHook();
    }
    Settle();
    if (Broken() || AnyCall(/*waiting=*/false) == nullptr) break;
  }
  model_.CheckEnd();
  for (const auto& call : calls_) {
    model_.Require(!call->waiting, Rule::kAnswered, "a call waits forever",
                   call->key);
  }
  model_.Require(done_ == 1, Rule::kNothingLeft,
                 "Shutdown has not called back, once");
  model_.Require(probes_.empty(), Rule::kNothingLeft, "an extension is left");
  if (Broken()) return;
  registry_.reset();
  // Providers may call back late.
  for (const Callback& callback : callbacks_) callback.call();
}

void World::Step() {
  if (Broken() || registry_ == nullptr) return;
  const uint64_t dice = Uniform(random_, 0, 99);
  if (dice < 14) return StartCall();
  if (dice < 29) return DropPin();
  if (dice < 31) return ClonePin();
  if (dice < 33) return HoldPin();
  if (dice < 35) return DropHold();
  if (dice < 39) return UseExtension();
  if (dice < 43) return RemoveExtension();
  if (dice < 45) return CancelCall();
  if (dice < 56) return PassTime();
  if (dice < 63) return RunDue();
  if (dice < 79) return RunTask();
  if (dice < 85) return AnswerHook();
  if (dice < 88) return Release();
  if (dice < 92) return CallBack();
  if (dice < 94) return KeepAlive();
  if (dice < 95) return SetIdleTimeout();
  if (dice < 97) return LookAtOne();
  if (dice < 98) return LookAtAll();
  if (depth_ > 0) return;
  if (dice < 99) return LetHooksHang();
  Settle();
}

void World::Meanwhile(int key) {
  if (settling_ || depth_ >= 2 || !Draw(3)) return;
  ++depth_;
  const int target = std::exchange(target_, key);
  for (int i = Draw(3) ? Draw(10, 60) : Draw(1, 4); i > 0; --i) Step();
  target_ = target;
  --depth_;
}

Call* World::AnyCall(bool waiting) {
  if (calls_.empty()) return nullptr;
  const size_t first = Uniform(random_, 0, calls_.size() - 1);
  Call* found = nullptr;
  for (size_t i = 0; i < calls_.size(); ++i) {
    Call& call = *calls_[(first + i) % calls_.size()];
    if (waiting ? !call.waiting : call.pins.empty()) continue;
    if (found == nullptr || call.key == target_) found = &call;
  }
  return found;
}

void World::StartCall() {
  if (calls_.size() >= 12) {
    std::erase_if(calls_, [](const std::unique_ptr<Call>& call) {
      return !call->waiting && call->pins.empty();
    });
    if (calls_.size() >= 12) return;
  }
  InstanceRequest request;
  const int key = ChooseKey(request);
  if (key < 0) return;
  if (Draw(6)) request.expect = Draw(2) ? Expect::kNew : Expect::kExisting;
  if (Draw(3)) {
    constexpr int64_t kTimeouts[] = {0,          5'000'000,  10'000'001,
                                     30'300'000, 50'000'000, 10'000'000'000};
    request.idle_timeout = absl::Nanoseconds(kTimeouts[Draw(0, 5)]);
  }
  if (Draw(4)) request.service_idle_timeout = absl::Milliseconds(Draw(5, 40));
  calls_.push_back(std::make_unique<Call>(*this, next_number_++, key, request));
  Call& call = *calls_.back();
  Note("call, key", call.number, key);
  if (model_.state(key) == InstanceModel::State::kClosing) {
    ++counts_.waits_for_closing;
  }
  if (being_asked_[key]) ++counts_.uses_while_asked;
  const std::optional<InstanceModel::Answer> expected =
      model_.Acquire(call.number, key, request, clock_.Now());
  std::optional<absl::StatusOr<PinGrant>> answer = registry_->Acquire(call);
  if (Broken()) return;
  if (model_.evicting()) LookForEvicted(key);
  if (answer.has_value() && !expected.has_value() &&
      absl::IsUnavailable(answer->status()) &&
      model_.HooksMayHang(key, clock_.Now())) {
    ++counts_.refused_hanging;
    return model_.Cancel(call.number, key);
  }
  model_.Require(answer.has_value() == expected.has_value(), Rule::kAnswer,
                 answer.has_value() ? "answered rather than made to wait"
                                    : "made to wait rather than answered",
                 key);
  if (!answer.has_value()) {
    call.waiting = true;
    return;
  }
  const absl::StatusCode code = answer->status().code();
  model_.Require(
      !expected.has_value() ||
          (code == expected->code &&
           (!answer->ok() || (*answer)->created == expected->created)),
      Rule::kAnswer,
      absl::StrCat("the call got ", absl::StatusCodeToString(code)), key);
  if (answer->ok()) {
    call.pins.push_back(std::move((*answer)->pin));
  } else if (code == absl::StatusCode::kResourceExhausted) {
    ++counts_.refused_full;
  } else if (code == absl::StatusCode::kUnavailable) {
    ++counts_.refused_shutdown;
  }
}

int World::ChooseKey(InstanceRequest& request) {
  const int key = AnyKey();
  request.key = KeyOf(key);
  switch (setup_.mode) {
    case Mode::kNamed:
      return key;
    case Mode::kSingle:
      return 0;
    case Mode::kPerCall:
      for (int fresh = 0; fresh < setup_.model.keys; ++fresh) {
        if (model_.state(fresh) != InstanceModel::State::kNone) continue;
        fresh_key_ = KeyOf(fresh);
        return fresh;
      }
  }
  return -1;
}

void World::LookForEvicted(int key) {
  for (int other = 0; other < setup_.model.keys; ++other) {
    if (other == key || model_.state(other) != InstanceModel::State::kOpen) {
      continue;
    }
    const std::optional<InstanceInfo> info = registry_->Describe(KeyOf(other));
    if (info.has_value() && info->state != InstanceState::kClosing) continue;
    Note("evicted, key", other);
    ++counts_.evicted;
    if (being_asked_[other]) ++counts_.closes_while_asked;
    model_.OnEvicted(other);
  }
}

void World::Granted(Call& call, const absl::StatusOr<PinGrant>& grant) {
  Note("granted, status", call.number,
       static_cast<int64_t>(grant.status().code()));
  model_.Require(call.waiting, Rule::kAnswer, "answered twice", call.key);
  call.waiting = false;
  if (grant.ok()) {
    ++counts_.granted_after_wait;
  } else if (absl::IsUnavailable(grant.status()) && !model_.shutting_down()) {
    ++counts_.waits_for_hanging;
  }
  model_.OnAnswer(
      call.number, call.key,
      {.code = grant.status().code(), .created = grant.ok() && grant->created},
      grant.ok() ? grant->pin->generation() : 0, clock_.Now());
}

void World::DropPin() {
  Call* call = AnyCall(/*waiting=*/false);
  if (call == nullptr) return;
  Note("drop a pin, key", call->number, call->key);
  model_.DropPin(call->key, clock_.Now());
  Pin pin = std::move(call->pins.back());
  call->pins.pop_back();
  pin.Reset();
}

void World::ClonePin() {
  Call* call = AnyCall(/*waiting=*/false);
  if (call == nullptr || call->pins.size() >= 3) return;
  Note("clone a pin, key", call->number, call->key);
  model_.AddPin(call->key);
  call->pins.push_back(call->pins.back().Clone());
}

void World::HoldPin() {
  Call* call = AnyCall(/*waiting=*/false);
  if (call == nullptr || holdings_.size() >= 4) return;
  const int key = call->key;
  Note("hold a pin, key", call->number, key);
  constexpr PinKind kKindsOfPins[] = {PinKind::kEchoStream, PinKind::kJoin,
                                      PinKind::kHold};
  model_.AddHold(key);
  Pin pin = std::move(call->pins.back());
  call->pins.pop_back();
  holdings_.push_back(std::make_unique<Holding>(
      std::move(pin), kKindsOfPins[Draw(0, 2)], key,
      model_.state(key) == InstanceModel::State::kClosing));
}

void World::DropHold() {
  if (holdings_.empty()) return;
  const size_t i = Uniform(random_, 0, holdings_.size() - 1);
  const std::unique_ptr<Holding> holding = std::move(holdings_[i]);
  holdings_.erase(holdings_.begin() + i);
  Note("let a hold go, key", holding->key);
  model_.Require(holding->listener->told == holding->to_tell, Rule::kAnswered,
                 "a holder was not told of a release by force, or twice",
                 holding->key);
  model_.DropHold(holding->key, clock_.Now());
}

void World::KeepAlive() {
  const int key = AnyKey();
  Note("keep alive, key", key);
  const absl::StatusCode expected = model_.KeepAlive(key, clock_.Now());
  const absl::StatusOr<InstanceInfo> info = registry_->KeepAlive(KeyOf(key));
  model_.Require(info.status().code() == expected, Rule::kAnswer,
                 absl::StrCat("keep-alive got ", info.status().ToString()),
                 key);
  if (info.ok()) {
    ++counts_.kept_alive;
    if (being_asked_[key]) ++counts_.uses_while_asked;
  }
}

void World::SetIdleTimeout() {
  const int key = AnyKey();
  const absl::Duration timeout = absl::Milliseconds(Draw(0, 100));
  Note("set the idle timeout, key", key);
  const absl::StatusCode expected = model_.SetIdleTimeout(key, timeout);
  const absl::StatusOr<InstanceInfo> info =
      registry_->SetIdleTimeout(KeyOf(key), timeout);
  model_.Require(info.status().code() == expected, Rule::kAnswer,
                 absl::StrCat("set-timeout got ", info.status().ToString()),
                 key);
}

void World::LookAtOne() {
  const int key = AnyKey();
  Note("look at, key", key);
  const std::optional<InstanceInfo> info = registry_->Describe(KeyOf(key));
  const InstanceModel::State state = model_.state(key);
  model_.Require(info.has_value() == (state != InstanceModel::State::kNone),
                 Rule::kDescribed, "there or not there", key);
  if (!info.has_value()) return;
  InstanceState expected = InstanceState::kClosing;
  if (state == InstanceModel::State::kOpening) {
    expected = InstanceState::kOpening;
  } else if (state == InstanceModel::State::kOpen) {
    expected =
        model_.pins(key) > 0 ? InstanceState::kBusy : InstanceState::kIdle;
  }
  model_.Require(info->state == expected, Rule::kDescribed, "state", key);
  model_.Require(info->idle_timeout == model_.timeout(key), Rule::kDescribed,
                 "idle timeout", key);
  model_.Require(info->lease_remaining.has_value() ==
                     (setup_.model.leased && expected == InstanceState::kIdle &&
                      !info->held_by_provider),
                 Rule::kDescribed, "with or without a lease", key);
  if (info->lease_remaining.has_value()) {
    model_.Require(
        *info->lease_remaining ==
            std::max(absl::ZeroDuration(), model_.deadline(key) - clock_.Now()),
        Rule::kDescribed, "what remains of the lease", key);
  }
  uint64_t calls = 0;
  uint64_t holds = 0;
  for (const InstanceInfo::Pins& pins : info->pins) {
    (pins.kind == PinKind::kCall ? calls : holds) += pins.count;
  }
  model_.Require(
      holds == model_.holds(key) && calls + holds == model_.pins(key),
      Rule::kDescribed, "pins", key);
}

void World::LookAtAll() {
  Note("look at all");
  std::vector<int> seen(setup_.model.keys);
  for (const std::string_view tenant : {"red", "blue"}) {
    InstanceQuery query;
    query.page_size = Draw(1, 3);
    do {
      const absl::StatusOr<InstancePage> page = registry_->List(tenant, query);
      if (!page.ok()) {
        return model_.Require(false, Rule::kDescribed,
                              page.status().ToString());
      }
      for (const InstanceInfo& info : page->instances) {
        ++seen[KeyOf(info.key.tenant, info.key.id)];
      }
      query.page_token = page->next_page_token;
    } while (!query.page_token.empty());
  }
  for (int key = 0; key < setup_.model.keys; ++key) {
    model_.Require(
        seen[key] == (model_.state(key) != InstanceModel::State::kNone),
        Rule::kDescribed, "listed not once", key);
  }
}

void World::UseExtension() {
  Call* call = AnyCall(/*waiting=*/false);
  if (call == nullptr) return;
  InstanceContext& context = *call->pins.back();
  const int kind = Draw(0, kKinds - 1);
  Note("use an extension, key", call->number, call->key);
  Probe* before = Get(context, call->key, kind, /*attach=*/false);
  Probe* probe = Get(context, call->key, kind, /*attach=*/true);
  model_.Require(before == nullptr || before == probe, Rule::kOneContext,
                 "two extensions of a type", call->key);
  model_.Require(
      probe->key() == call->key && probe->generation() == context.generation(),
      Rule::kOneContext, "an extension of another context", call->key);
  probe->Count();
}

void World::RemoveExtension() {
  Call* call = AnyCall(/*waiting=*/false);
  if (call == nullptr) return;
  InstanceContext& context = *call->pins.back();
  const int key = call->key;
  Probe* probe = Get(context, key, 0, /*attach=*/false);
  if (probe == nullptr) return;
  Note("remove an extension, key", probe->number(), key);
  ++counts_.removed;
  probe->set_removed();
  model_.OnRemove(key, probe->number());
  const bool removed = context.Detach<ProbeOf<0>>([this, key](absl::Status) {
    Note("removed, key", key);
    if (ended_removals_[key] > 0) {
      --ended_removals_[key];
    } else {
      EndRemoval(key);
      --ended_removals_[key];
    }
  });
  ++removals_[key];
  model_.Require(removed, Rule::kHookOnce, "not removed", key);
}

void World::EndRemoval(int key) {
  model_.DropPin(key, clock_.Now());
  --removals_[key];
  ++ended_removals_[key];
}

void World::CancelCall() {
  Call* call = AnyCall(/*waiting=*/true);
  if (call == nullptr) return;
  Note("cancel, key", call->number, call->key);
  ++counts_.waits_cancelled;
  if (model_.state(call->key) == InstanceModel::State::kOpening) {
    ++counts_.openers_cancelled;
  }
  model_.Cancel(call->number, call->key);
  model_.Require(registry_->CancelWait(*call), Rule::kAnswered,
                 "a wait that cannot be cancelled", call->key);
  call->waiting = false;
}

void World::PassTime() {
  const Instant now = clock_.Now();
  Instant to = now;
  switch (Draw(0, 7)) {
    case 0:
      to = now + absl::Nanoseconds(1);
      break;
    case 1:
    case 2:
      to = now + absl::Nanoseconds(Draw(0, 3'000'000));
      break;
    case 3:
      to = now + absl::Milliseconds(Draw(1, 60));
      break;
    case 4:
      to = now + absl::Seconds(2);
      break;
    default: {
      // Just before a deadline, at it, or a tick later.
      const int key = AnyKey();
      if (model_.state(key) == InstanceModel::State::kClosing) {
        // Within the time that its hooks may take.
        to = now + setup_.model.detach_timeout / Draw(1, 4);
        break;
      }
      if (model_.state(key) != InstanceModel::State::kOpen) return;
      to = model_.deadline(key) + absl::Nanoseconds(Draw(-1, 1)) +
           (Draw(3) ? setup_.model.tick : absl::ZeroDuration());
    }
  }
  clock_.AdvanceTo(to);
  Note("time passes");
}

void World::RunDue() {
  Note("look at the leases");
  const size_t count = registry_->RunDueLeases();
  model_.OnLeasesOver(count, clock_.Now());
}

void World::RunTask() {
  if (executor_.size() == 0) return;
  Note("run one of the tasks", static_cast<int64_t>(executor_.size()));
  executor_.RunAny(random_);
}

void World::AnswerHook() {
  if (hooks_.empty()) return;
  if (!stale_hooks_.empty() && Draw(2)) {
    HookDone done = std::move(stale_hooks_.back());
    stale_hooks_.pop_back();
    done();  // Has no effect any more.
  }
  const size_t i = Uniform(random_, 0, hooks_.size() - 1);
  PendingHook hook = std::move(hooks_[i]);
  std::vector<PendingHook> rest;  // HookDone cannot be assigned.
  for (size_t j = 0; j < hooks_.size(); ++j) {
    if (j != i) rest.push_back(std::move(hooks_[j]));
  }
  hooks_.swap(rest);
  Note("a hook answers, key", hook.key);
  const bool fails = setup_.hooks_fail && Draw(4);
  Answer(std::move(hook),
         fails ? absl::AbortedError("later") : absl::OkStatus());
}

void World::Release() {
  const int key = AnyKey();
  // The model does not cover openings that are given up (instance_opening_test
  // does).
  const bool force =
      Draw(2) && model_.state(key) != InstanceModel::State::kOpening;
  const int told = Draw(2) ? next_number_++ : -1;
  Note(force ? "release by force, key" : "release, key", key);
  const bool was_open = model_.state(key) == InstanceModel::State::kOpen;
  const size_t pins = model_.pins(key);
  const absl::StatusCode expected = model_.Release(key, force, told);
  if (was_open && expected == absl::StatusCode::kOk) {
    for (const auto& holding : holdings_) {
      if (holding->key == key) holding->to_tell = 1;
    }
  }
  std::function<void()> closed;
  if (told >= 0) closed = [this, told] { model_.OnToldClosed(told); };
  const absl::StatusCode code =
      registry_->Release(KeyOf(key), force, std::move(closed)).code();
  if (code == absl::StatusCode::kOk) {
    ++counts_.released;
    if (was_open && pins > 0) ++counts_.released_by_force;
    if (being_asked_[key]) ++counts_.closes_while_asked;
  }
  model_.Require(code == expected, Rule::kAnswer,
                 absl::StrCat("release got ", absl::StatusCodeToString(code)),
                 key);
}

void World::CallBack() {
  if (callbacks_.empty()) return;
  if (const int key = AnyKey(); Draw(2) && last_callback_[key]) {
    Note("the provider calls back, key", key);
    model_.CallBack(key, handed_callback_[key]);
    return last_callback_[key]();
  }
  // Any callback that ever existed: also twice, also of contexts that are gone.
  const Callback callback =
      callbacks_[Uniform(random_, 0, callbacks_.size() - 1)];
  Note("the provider calls back", static_cast<int64_t>(callback.generation));
  if (handed_callback_[callback.key] != callback.generation) {
    ++counts_.callbacks_late;
  }
  model_.CallBack(callback.key, callback.generation);
  callback.call();
}

void World::BeginShutdown() {
  Note("shutdown");
  shutting_down_ = true;
  model_.Shutdown();
  registry_->Shutdown([this] { OnShutdownDone(); });
}

void World::OnShutdownDone() {
  Note("shutdown is done");
  ++done_;
  model_.CheckEnd();
  model_.Require(probes_.empty(), Rule::kNothingLeft,
                 "done, but an extension lives");
  model_.Require(executor_.size() == 0 && hooks_.empty() && in_hooks_ == 0,
                 Rule::kNothingLeft, "done, but something runs");
  model_.Require(registry_->size() == 0, Rule::kNothingLeft,
                 "done, but a context is left");
  if (destroy_in_done_ && !Broken()) registry_.reset();
}

void World::Settle() {
  Note("settle");
  settling_ = true;
  for (bool called_back = false;;) {
    if (Broken() || registry_ == nullptr) break;
    if (executor_.size() > 0) {
      RunTask();
    } else if (!hooks_.empty()) {
      AnswerHook();
    } else if (const size_t count = registry_->RunDueLeases(); count > 0) {
      model_.OnLeasesOver(count, clock_.Now());
    } else if (!called_back) {
      // The owed callbacks are called, and the provider stops vetoing.
      called_back = true;
      for (int key = 0; key < setup_.model.keys; ++key) {
        if (!last_callback_[key]) continue;
        model_.CallBack(key, handed_callback_[key]);
        last_callback_[key]();
      }
    } else {
      break;
    }
    model_.CheckStep();
  }
  model_.CheckSettled(clock_.Now(), /*hooks_answer=*/true);
  settling_ = false;
}

void World::LetHooksHang() {
  Note("let hooks hang");
  clock_.AdvanceTo(clock_.Now() + setup_.model.detach_timeout +
                   setup_.model.tick);
  settling_ = true;
  while (!Broken() && registry_ != nullptr) {
    if (executor_.size() > 0) {
      RunTask();
    } else if (const size_t count = registry_->RunDueLeases(); count > 0) {
      model_.OnLeasesOver(count, clock_.Now());
    } else {
      break;
    }
    model_.CheckStep();
  }
  model_.CheckSettled(clock_.Now(), /*hooks_answer=*/false);
  settling_ = false;
}

// ---- What the registry calls

int World::Born(Probe& probe) {
  probes_.push_back(&probe);
  return next_number_++;
}

void World::Died(Probe& probe) {
  std::erase(probes_, &probe);
  if (Broken()) return;
  Note("an extension dies, key", probe.number(), probe.key());
  model_.Require(!being_asked_[probe.key()] || probe.removed(), Rule::kProvider,
                 "an extension dies while the provider is asked", probe.key());
}

void World::Attached(Probe& probe) {
  Note("attached, key", probe.number(), probe.key());
  for (const Probe* other : probes_) {
    model_.Require(other->removed() || other->key() != probe.key() ||
                       other->generation() == probe.generation(),
                   Rule::kOneContext, "extensions of two contexts",
                   probe.key());
  }
  model_.OnAttach(probe.key(), probe.generation(), probe.number());
}

void World::Detach(Probe& probe, DetachReason reason, HookDone done) {
  if (Broken()) return done();
  const int key = probe.key();
  Note("detach, key", probe.number(), key);
  model_.Require(executor_.running(), Rule::kHookOnce,
                 "a hook runs outside of the executor", key);
  model_.Require(probe.removed() == (reason == DetachReason::kRemoved),
                 Rule::kHookOrder, "removed, or not", key);
  model_.Require(!being_asked_[key] || reason == DetachReason::kRemoved,
                 Rule::kProvider, "detached while the provider is asked", key);
  model_.OnDetach(key, probe.generation(), probe.number(), reason,
                  clock_.Now());
  Behave({.done = std::move(done),
          .key = key,
          .reason = reason,
          .initializer = false},
         setup_.hooks_fail);
}

void World::Initialize(InstanceContext& context, int step, HookDone done) {
  if (Broken()) return done();
  const int key = KeyOf(context);
  Note("initialize, key", step, key);
  model_.Require(executor_.running(), Rule::kHookOnce,
                 "an initializer runs outside of the executor", key);
  model_.OnInitializer(key, context.generation(), step);
  if (Draw(2)) Get(context, key, Draw(0, kKinds - 1), /*attach=*/true);
  Behave({.done = std::move(done),
          .key = key,
          .reason = DetachReason::kIdle,
          .initializer = true},
         setup_.hooks_fail);
}

void World::Behave(PendingHook hook, bool may_fail) {
  ++in_hooks_;
  Meanwhile(hook.key);
  --in_hooks_;
  if (setup_.hooks_answer_later && Draw(2)) {
    ++counts_.hooks_later;
    hooks_.push_back(std::move(hook));
    return;
  }
  if (!may_fail || !Draw(3)) return Answer(std::move(hook), absl::OkStatus());
  ++counts_.hooks_failed;
  switch (Draw(0, 3)) {
    case 0:
      return Answer(std::move(hook), absl::AbortedError("at once"));
    case 1:  // Drops `done`.
      return TellAnswered(hook, absl::StatusCode::kInternal);
    case 2:
      TellAnswered(hook, absl::StatusCode::kInternal);
      throw std::runtime_error("thrown");
    default:
      TellAnswered(hook, absl::StatusCode::kInternal);
      stale_hooks_.push_back(std::move(hook.done));
      throw 1;
  }
}

void World::Answer(PendingHook hook, absl::Status status) {
  if (Broken()) return;
  TellAnswered(hook, status.code());
  hook.done(std::move(status));
}

void World::TellAnswered(const PendingHook& hook, absl::StatusCode code) {
  if (hook.initializer) {
    model_.OnInitialized(hook.key, code);
  } else if (hook.reason != DetachReason::kRemoved) {
    model_.OnDetached(hook.key, code == absl::StatusCode::kOk);
  }
}

void World::NotifyIdle(IdleCallback callback, InstanceContext& context) {
  handed_callback_[KeyOf(context)] = context.generation();
  last_callback_[KeyOf(context)] = callback;
  callbacks_.push_back(
      {std::move(callback), KeyOf(context), context.generation()});
  if (callbacks_.size() > 20) callbacks_.pop_front();
}

bool World::IsIdle(InstanceContext& context) {
  if (Broken()) return false;
  const int key = KeyOf(context);
  Note("idle?, key", key);
  model_.Require(executor_.running(), Rule::kHookOnce,
                 "the provider is asked outside of the executor", key);
  model_.Require(handed_callback_[key] == context.generation(), Rule::kProvider,
                 "asked before it has the callback", key);
  model_.Require(!being_asked_[key], Rule::kProvider, "asked twice at a time",
                 key);
  model_.OnAsked(key, context.generation(), clock_.Now());
  being_asked_[key] = true;
  ++in_hooks_;
  // The context's extensions live until it has answered.
  const Probe* probe = Get(context, key, 0, /*attach=*/false);
  Meanwhile(key);
  model_.Require(
      probe == nullptr ||
          std::find(probes_.begin(), probes_.end(), probe) != probes_.end(),
      Rule::kProvider, "an extension died while it was looked at", key);
  --in_hooks_;
  being_asked_[key] = false;
  if (!setup_.vetoes || settling_ || Draw(2)) return true;
  ++counts_.vetoes;
  Note("veto, key", key);
  return false;
}

void World::OnEvent(const InstanceEvent& event) {
  const int key = KeyOf(event.tenant, event.instance_id);
  static constexpr std::string_view kNames[] = {"created, key",
                                                "idle, key",
                                                "busy, key",
                                                "renewed, key",
                                                "expired, key",
                                                "closing, key",
                                                "detach failed, key",
                                                "closed, key",
                                                "opening failed, key",
                                                "pins changed, key",
                                                "held by provider, key",
                                                "threw, key"};
  Note(kNames[static_cast<size_t>(event.kind)], key,
       static_cast<int64_t>(event.generation));
  switch (event.kind) {
    case InstanceEventKind::kCreated:
      ++counts_.contexts;
      break;
    case InstanceEventKind::kIdle:
      // The caller of a removal is told once its pin is gone.
      if (removals_[key] > 0 && model_.pins(key) == 1) EndRemoval(key);
      break;
    case InstanceEventKind::kExpired:
      ++counts_.expired;
      break;
    case InstanceEventKind::kOpenFailed:
      ++counts_.openings_failed;
      break;
    default:
      break;
  }
  if (!Broken()) model_.OnEvent(key, event, clock_.Now());
}

std::string World::Trace() const {
  std::string text;
  const size_t lines = std::min(traced_, trace_.size());
  for (size_t i = traced_ - lines; i < traced_; ++i) {
    const TraceLine& line = trace_[i % trace_.size()];
    absl::StrAppend(&text, "  ", line.time.ns, " ",
                    absl::string_view(line.what.data(), line.what.size()));
    if (line.a >= 0) absl::StrAppend(&text, " ", line.a);
    if (line.b >= 0) absl::StrAppend(&text, " ", line.b);
    absl::StrAppend(&text, "\n");
  }
  return text;
}

}  // namespace

WorldResult RunInstanceWorld(Random& random, WorldCounts& counts) {
  auto world = std::make_unique<World>(random, counts);
  world->Run();
  WorldResult result{.violation = world->model().violation(), .trace = ""};
  if (result.violation.has_value()) {
    result.trace = world->Trace();
    // Always reachable, so that no leak checker reports it.
    static auto& broken = *new std::vector<std::unique_ptr<World>>;
    broken.push_back(std::move(world));
  }
  return result;
}

}  // namespace leasehold
