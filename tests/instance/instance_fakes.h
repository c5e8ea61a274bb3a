// Fakes for the tests of the instance room: a call, a provider, initializers,
// an observer, and extensions that record what happens to them; and a registry
// that uses them.
//
// Thread-safety: one thread, that of the test.   Lifetime: they outlive the
// registry that uses them.
#ifndef LEASEHOLD_TESTS_INSTANCE_INSTANCE_FAKES_H_
#define LEASEHOLD_TESTS_INSTANCE_INSTANCE_FAKES_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "tests/support/manual_executor.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/test_key.h"

namespace leasehold {

// What happened, one entry each: `closing room-1 idle`.
using Journal = std::vector<std::string>;

inline InstanceRequest RequestFor(std::string_view id,
                                  Expect expect = Expect::kAny) {
  InstanceRequest request;
  request.key = TestKey(id);
  request.expect = expect;
  return request;
}

// A call that requests its context and keeps the answer.
class FakeCall final : public PinWaiter {
 public:
  explicit FakeCall(InstanceRequest request) : PinWaiter(std::move(request)) {}
  explicit FakeCall(std::string_view id, Expect expect = Expect::kAny)
      : PinWaiter(RequestFor(id, expect)) {}

  // Requests the context. True if the answer came at once.
  bool Ask(InstanceRegistry& registry) {
    answer_ = std::nullopt;
    // OnGrant may run inside: initializers that never block run at once.
    std::optional<absl::StatusOr<PinGrant>> answer = registry.Acquire(*this);
    if (answer.has_value()) {
      EXPECT_FALSE(answer_.has_value()) << "answered twice";
      answer_ = std::move(answer);
    }
    return answer_.has_value();
  }

  void OnGrant(absl::StatusOr<PinGrant> grant) override {
    EXPECT_FALSE(answer_.has_value()) << "answered twice";
    answer_ = std::move(grant);
    if (then) then();
  }

  bool answered() const { return answer_.has_value(); }
  // REQUIRES: answered.
  absl::Status status() const { return answer_->status(); }
  // REQUIRES: answered with OK.
  bool created() const { return (*answer_)->created; }
  Pin& pin() { return (*answer_)->pin; }
  InstanceContext& context() { return *pin(); }
  void Finish() { pin().Reset(); }

  std::function<void()> then;  // Runs after a wait, on the thread that answers.

 private:
  std::optional<absl::StatusOr<PinGrant>> answer_;
};

// Records kCreated and so on.
class FakeObserver final : public InstanceObserver {
 public:
  explicit FakeObserver(Journal& journal) : journal_(journal) {}

  void OnEvent(const InstanceEvent& event) override {
    static constexpr std::string_view kNames[] = {"created",
                                                  "idle",
                                                  "busy",
                                                  "renewed",
                                                  "expired",
                                                  "closing",
                                                  "detach failed",
                                                  "closed",
                                                  "opening failed",
                                                  "pins changed",
                                                  "held by provider",
                                                  "threw"};
    std::string entry(kNames[static_cast<size_t>(event.kind)]);
    entry.append(" ").append(event.instance_id);
    switch (event.kind) {
      case InstanceEventKind::kClosing:
      case InstanceEventKind::kClosed:
        entry.append(" ").append(DetachReasonName(event.reason));
        break;
      case InstanceEventKind::kDetachFailed:
        entry.append(" ").append(event.extension);
        [[fallthrough]];
      case InstanceEventKind::kOpenFailed:
        absl::StrAppend(&entry, " ", event.status.message());
        break;
      case InstanceEventKind::kThrew:
        entry.append(" ").append(event.code).append(": ");
        absl::StrAppend(&entry, event.status.message());
        break;
      default:
        break;
    }
    journal_.push_back(std::move(entry));
    if (then) then(event);
  }

  std::function<void(const InstanceEvent&)> then;

 private:
  Journal& journal_;
};

// A provider with a fixed answer; keeps its callbacks.
class FakeProvider final : public InstanceContextProvider {
 public:
  explicit FakeProvider(bool leased) : leased_(leased) {}
  bool Leased() const override { return leased_; }
  void NotifyIdle(IdleCallback callback, InstanceContext&) override {
    callbacks.push_back(std::move(callback));
  }
  bool IsIdle(InstanceContext& context) override {
    ++asked;
    EXPECT_FALSE(callbacks.empty()) << "asked before it has the callback";
    if (meanwhile) meanwhile(context);
    return idle;
  }

  bool idle = true;
  int asked = 0;
  std::vector<IdleCallback> callbacks;
  std::function<void(InstanceContext&)> meanwhile;  // Runs inside IsIdle.

 private:
  const bool leased_;
};

// An initializer with settable behaviour; answers OK by default.
class FakeInitializer final : public ContextInitializer {
 public:
  using Body = std::function<void(InstanceContext&, const InitializerRequest&,
                                  HookDone)>;
  explicit FakeInitializer(Body body = [](auto&, auto&,
                                          HookDone done) { done(); })
      : body_(std::move(body)) {}
  void Initialize(InstanceContext& context, const InitializerRequest& request,
                  HookDone done) override {
    ++runs;
    body_(context, request, std::move(done));
  }

  int runs = 0;

 private:
  const Body body_;
};

// Writes `+name`, `name: reason` and `-name` into a journal when it is
// attached, detached, destroyed. Answers as `on_detach` says, else OK.
class NotingExtension : public Extension {
 public:
  using OnDetachBody = std::function<void(HookDone)>;
  NotingExtension(Journal& journal, std::string name,
                  OnDetachBody on_detach = nullptr)
      : journal_(journal),
        name_(std::move(name)),
        on_detach_(std::move(on_detach)) {}
  ~NotingExtension() override { journal_.push_back("-" + name_); }
  void OnAttach(InstanceContext&) override { journal_.push_back("+" + name_); }
  void OnDetach(InstanceContext&, DetachReason reason, HookDone done) override {
    std::string entry = name_ + ": ";
    journal_.push_back(entry.append(DetachReasonName(reason)));
    if (on_detach_) return on_detach_(std::move(done));
    done();
  }
  const std::string& name() const { return name_; }

 private:
  Journal& journal_;
  const std::string name_;
  const OnDetachBody on_detach_;
};

// Three types of it, because a context holds one extension per type.
class First : public NotingExtension {
 public:
  using NotingExtension::NotingExtension;
};
class Second : public NotingExtension {
 public:
  using NotingExtension::NotingExtension;
};
class Third : public NotingExtension {
 public:
  using NotingExtension::NotingExtension;
};

// A registry with everything it needs. Shuts it down at the end, and expects
// that this leaves nothing.
class InstanceRegistryTest : public testing::Test {
 protected:
  static constexpr absl::Duration kTimeout = absl::Seconds(20);
  static constexpr absl::Duration kTick = absl::Milliseconds(1);
  static constexpr absl::Duration kNanosecond = absl::Nanoseconds(1);

  // Objects of a derived class or a test are still there, or no longer needed.
  void TearDown() override {
    if (registry_ == nullptr) return;
    if (!shut_down_) Shutdown();
    executor_.RunAll();
    EXPECT_EQ(done_, 1);
    EXPECT_EQ(registry_->size(), 0u);
    registry_.reset();
  }

  // The registry; created on first use.
  InstanceRegistry& registry() {
    if (registry_ == nullptr) {
      registry_ = std::make_unique<InstanceRegistry>(
          clock_, executor_, *provider_, initializers_, observers_, options_);
      if (watch_use_) registry_->WatchUse();
    }
    return *registry_;
  }

  // One call that begins and ends.
  void Use(std::string_view id) {
    FakeCall call(id);
    call.Ask(registry());
    executor_.RunAll();
    ASSERT_TRUE(call.answered());
    ASSERT_TRUE(call.status().ok()) << call.status();
  }
  // Checks the leases, then runs all tasks.
  void RunDue() {
    registry().RunDueLeases();
    executor_.RunAll();
  }
  void Pass(absl::Duration d) {
    clock_.Advance(d);
    RunDue();
  }
  void Shutdown() {
    shut_down_ = true;
    registry().Shutdown([this] { ++done_; });
  }
  absl::Status Release(std::string_view id) {
    return registry().Release(RequestFor(id).key);
  }
  // The entries since the last call.
  Journal TakeJournal() { return std::exchange(journal_, {}); }

  SimulatedClock clock_;
  ManualExecutor executor_;
  Journal journal_;
  SharedProvider shared_;
  FakeObserver noting_{journal_};
  // For the registry; a test sets them before its first use.
  InstanceContextProvider* provider_ = &shared_;
  std::vector<ContextInitializer*> initializers_;
  std::vector<InstanceObserver*> observers_ = {&noting_};
  bool watch_use_ = false;  // Whether kIdle and kBusy are reported.
  InstanceRegistryOptions options_{.idle_timeout = kTimeout,
                                   .evict_idle = false};

  std::unique_ptr<InstanceRegistry> registry_;
  bool shut_down_ = false;
  int done_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_INSTANCE_INSTANCE_FAKES_H_
