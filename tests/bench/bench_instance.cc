// What a context costs: pinning, opening and closing it, and its memory.
//
//   ./dev bench --benchmark_filter=PinUnpin
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "lease/clock.h"
#include "service/echo/echo_instance.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "tests/support/immediate_call.h"

namespace leasehold {
namespace {

using Id = std::array<char, 36>;

Id MakeId(size_t i) {
  Id id;
  const std::string text = absl::StrFormat("%08x-0000-4000-8000-%012x",
                                           i * 2654435761u % (1ull << 32), i);
  std::copy_n(text.begin(), id.size(), id.begin());
  return id;
}
std::string_view View(const Id& id) { return {id.data(), id.size()}; }

// Memory that the process holds.
size_t ResidentBytes() {
  size_t total = 0;
  size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
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
      ImmediateCall call(View(MakeId(i)));
      EchoInstance::Of(*call.Ask(registry_).pin);
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
  static World* world = new World(1'000'000);
  return *world;
}

void PinUnpin(benchmark::State& state) {
  World& world = Million();
  const auto distinct = static_cast<size_t>(state.range(0));
  std::mt19937_64 random(state.thread_index() + 1);
  std::vector<Id> ids(100'000);
  for (Id& id : ids) id = MakeId(random() % distinct);
  size_t next = 0;
  for (auto _ : state) {
    ImmediateCall call(View(ids[next]));  // As in a server, it is fresh.
    const PinGrant grant = call.Ask(world.registry());
    benchmark::DoNotOptimize(grant.pin->generation());
    if (++next == ids.size()) next = 0;
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

double MillisecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now() - start)
      .count();
}

void OpenAndClose(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    const size_t before = ResidentBytes();
    const auto start = std::chrono::steady_clock::now();
    auto world = std::make_unique<World>(count);
    state.counters["open_ms"] = MillisecondsSince(start);
    // Of a process that has had less before: what is given back is used again.
    state.counters["bytes_per_context"] =
        static_cast<double>(ResidentBytes() - before) /
        static_cast<double>(count);
    const auto closing = std::chrono::steady_clock::now();
    world.reset();
    state.counters["close_ms"] = MillisecondsSince(closing);
  }
}
BENCHMARK(OpenAndClose)
    ->Name("Contexts/Million")
    ->Arg(1'000'000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(OpenAndClose)
    ->Name("Contexts/TenMillion")
    ->Arg(10'000'000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace leasehold

BENCHMARK_MAIN();
