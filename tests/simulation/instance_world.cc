#include "tests/simulation/instance_world.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/world.h"

namespace leasehold {

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
