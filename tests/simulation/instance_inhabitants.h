// What lives in a World: extensions and initializers, which tell it what
// happens to them, calls, and long-term holders of pins.
//
// Thread-safety: one thread.   Lifetime: the World outlives them.
#ifndef LEASEHOLD_TESTS_SIMULATION_INSTANCE_INHABITANTS_H_
#define LEASEHOLD_TESTS_SIMULATION_INSTANCE_INHABITANTS_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "service/instance/context_initializer.h"
#include "service/instance/held_pin.h"
#include "service/instance/instance_registry.h"
#include "tests/simulation/instance_world.h"

namespace leasehold {

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

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_INSTANCE_INHABITANTS_H_
