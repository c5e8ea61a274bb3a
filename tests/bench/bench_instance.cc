// What a context costs: pinning, opening and closing it, and its memory.
//
//   ./dev bench --benchmark_filter=PinUnpin
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdio>
#include <future>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "lease/clock.h"
#include "service/echo/echo_instance.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"

namespace leasehold {
namespace {

class Caller final : public PinWaiter {
 public:
  explicit Caller(const std::string& id)
      : PinWaiter({.key = {.tenant = std::string(kDefaultTenant), .id = id}}) {}
  void OnGrant(absl::StatusOr<PinGrant> grant) override {
    granted_.set_value(std::move(grant));
  }
  PinGrant Get(InstanceRegistry& registry) {
    std::optional<absl::StatusOr<PinGrant>> grant = registry.Acquire(*this);
    if (!grant.has_value()) grant = granted_.get_future().get();
    return *std::move(*grant);
  }

 private:
  std::promise<absl::StatusOr<PinGrant>> granted_;
};

std::string Id(size_t i) {
  return absl::StrFormat("%08x-0000-4000-8000-%012x", i * 2654435761u, i);
}

// A registry with `contexts` open contexts, each with an Echo instance.
class World {
 public:
  explicit World(size_t contexts)
      : executor_(1),
        registry_(
            clock_, executor_, provider_, {}, {},
            {.idle_timeout = absl::Hours(1), .contexts_max = 100'000'000}) {
    registry_.Start();
    for (size_t i = 0; i < contexts; ++i) {
      Caller caller(Id(i));
      EchoInstance::Of(*caller.Get(registry_).pin);
    }
  }
  ~World() {
    std::promise<void> done;
    registry_.Shutdown([&done] { done.set_value(); });
    done.get_future().wait();
  }
  InstanceRegistry& registry() { return registry_; }

 private:
  RealClock clock_;
  ThreadExecutor executor_;
  SharedProvider provider_;
  InstanceRegistry registry_;
};

// One for all: a million contexts take a while to make.
World& Million() {
  static World* const world = new World(1'000'000);
  return *world;
}

void PinUnpin(benchmark::State& state) {
  World& world = Million();
  const auto ids = static_cast<size_t>(state.range(0));
  std::mt19937_64 random(state.thread_index() + 1);
  std::vector<std::unique_ptr<Caller>> callers;
  for (size_t i = 0; i < 100'000; ++i) {
    callers.push_back(std::make_unique<Caller>(Id(random() % ids)));
  }
  size_t next = 0;
  for (auto _ : state) {
    const PinGrant grant = callers[next]->Get(world.registry());
    benchmark::DoNotOptimize(grant.pin->generation());
    if (++next == callers.size()) next = 0;
  }
}
// The distinct IDs that are used, of a million that are open.
BENCHMARK(PinUnpin)->ArgName("ids")->Arg(1)->Arg(1000)->Arg(1'000'000);
BENCHMARK(PinUnpin)
    ->ArgName("ids")
    ->Arg(1)
    ->Arg(1000)
    ->Arg(1'000'000)
    ->Threads(2)
    ->UseRealTime();

void OpenAndClose(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  double bytes = 0;
  for (auto _ : state) {
    const size_t before = mallinfo2().uordblks;
    World world(count);
    bytes = static_cast<double>(mallinfo2().uordblks - before) /
            static_cast<double>(count);
  }
  state.counters["bytes_per_context"] = bytes;
  state.SetItemsProcessed(static_cast<int64_t>(count) * state.iterations());
}
BENCHMARK(OpenAndClose)
    ->ArgName("contexts")
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace leasehold

BENCHMARK_MAIN();
