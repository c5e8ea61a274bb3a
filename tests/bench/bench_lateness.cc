// bench_lateness: how late leases end.
//
//   bench_lateness [manager | contexts | burst | ten_million]...
//
// All but the last, if none is named.
//
// manager: the lease manager alone, a million leases that end within a second.
// contexts: 100,000 contexts a second open, idle for half a second and are
//   closed, while another thread pins and unpins a hot one all the time.
// burst: a million contexts end at once, while that thread goes on.
// ten_million: the same with ten.
//
// Prints `name=value` with the unit in the name; lateness is from the deadline
// to the call that says so, over real time.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lease/clock.h"
#include "lease/lease_manager.h"
#include "service/echo/echo_instance.h"
#include "service/instance/executor.h"
#include "service/instance/instance_observer.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "tests/support/blocking_call.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

constexpr size_t kMillion = 1'000'000;

double Milliseconds(absl::Duration d) { return absl::ToDoubleMilliseconds(d); }

void Print(const char* name, std::vector<double>& late_ms) {
  std::sort(late_ms.begin(), late_ms.end());
  const auto at = [&](double share) {
    return late_ms[static_cast<size_t>(
        share * static_cast<double>(late_ms.size() - 1))];
  };
  std::printf("%s_p50_ms=%.3f\n%s_p99_ms=%.3f\n%s_max_ms=%.3f\n", name, at(0.5),
              name, at(0.99), name, late_ms.back());
  std::fflush(stdout);
}

// ---- The lease manager alone ------------------------------------------------

struct Timed : Lease {
  Instant deadline;
};

class Lateness final : public LeaseListener {
 public:
  explicit Lateness(Clock& clock) : clock_(clock) {
    late_ms_.reserve(kMillion);
  }
  void OnLeasesOver(absl::Span<Lease* const> leases) override {
    const Instant now = clock_.Now();
    for (Lease* lease : leases) {
      late_ms_.push_back(
          Milliseconds(now - static_cast<Timed*>(lease)->deadline));
    }
    if (late_ms_.size() == kMillion) done_.set_value();
  }
  std::vector<double>& Await() {
    done_.get_future().wait();
    return late_ms_;
  }

 private:
  Clock& clock_;
  std::vector<double> late_ms_;
  std::promise<void> done_;
};

void ManagerAlone() {
  RealClock clock;
  Lateness lateness(clock);
  LeaseManager manager(clock, lateness);
  // In no order: neighbours in memory do not end together.
  std::vector<Timed> leases(kMillion);
  std::vector<size_t> order(kMillion);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
  manager.Start();
  const Instant begin = clock.Now() + absl::Seconds(3);
  for (size_t i = 0; i < kMillion; ++i) {
    Timed& lease = leases[order[i]];
    const Instant now = clock.Now();
    lease.deadline =
        begin + absl::Seconds(1) * (static_cast<double>(i) / kMillion);
    manager.Grant(lease, lease.deadline - now);
  }
  Print("manager", lateness.Await());
  manager.Stop();
}

// ---- Whole contexts ---------------------------------------------------------

// Contexts with an Echo instance each, and a thread that uses one of them all
// the time: its longest pause.
class World final : public InstanceObserver {
 public:
  explicit World(size_t contexts)
      : deadlines_(contexts),
        executor_(1),
        registry_(
            clock_, executor_, provider_, {}, {this},
            {.idle_timeout = absl::Hours(1), .contexts_max = 10'000'000}) {
    late_ms_.reserve(contexts);
    registry_.Start();
    hot_ = std::thread([this] { UseHot(); });
  }
  ~World() override {
    stop_ = true;
    hot_.join();
    std::promise<void> done;
    registry_.Shutdown([&done] { done.set_value(); });
    done.get_future().wait();
  }

  void OnEvent(const InstanceEvent& event) override {
    if (event.kind == InstanceEventKind::kExpired) {
      size_t i = 0;
      const std::string_view number = event.instance_id.substr(24);
      std::from_chars(number.data(), number.data() + number.size(), i);
      late_ms_.push_back(Milliseconds(clock_.Now() - deadlines_[i]));
    }
    if (event.kind == InstanceEventKind::kClosed) ++closed_;
  }

  // The i-th context, idle from now on.
  void Open(size_t i, absl::Duration timeout) {
    Use(absl::StrFormat("bench000-0000-4000-8000-%012d", i), timeout);
    deadlines_[i] = clock_.Now() + timeout;
  }

  Clock& clock() { return clock_; }
  size_t closed() const { return closed_; }
  // What was closed so far; complete once nothing is left to close.
  std::vector<double>& late_ms() { return late_ms_; }
  void ResetPause() { longest_pause_ns_ = 0; }
  double LongestPauseMs() const {
    return static_cast<double>(longest_pause_ns_) / 1e6;
  }

 private:
  void Use(std::string id, absl::Duration timeout) {
    BlockingCall call({.key = TestKey(id), .idle_timeout = timeout});
    EchoInstance::Of(*(**call.Ask(registry_)).pin);
  }
  void UseHot() {
    Instant last = clock_.Now();
    while (!stop_) {
      Use("hot", absl::Hours(1));
      const Instant now = clock_.Now();
      const int64_t pause = absl::ToInt64Nanoseconds(now - last);
      if (pause > longest_pause_ns_) longest_pause_ns_ = pause;
      last = now;
    }
  }

  RealClock clock_;
  std::vector<Instant> deadlines_;  // Set before they pass.
  ThreadExecutor executor_;
  SharedProvider provider_;
  InstanceRegistry registry_;
  std::vector<double> late_ms_;
  std::atomic<size_t> closed_ = 0;
  std::atomic<int64_t> longest_pause_ns_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread hot_;
};

void Contexts() {
  constexpr size_t kPerSecond = 100'000;
  constexpr size_t kAll = 5 * kPerSecond;
  World world(kAll);
  const Instant begin = world.clock().Now();
  for (size_t i = 0; i < kAll; ++i) {
    const Instant start =
        begin + absl::Seconds(1) * (static_cast<double>(i) / kPerSecond);
    while (world.clock().Now() < start) std::this_thread::yield();
    world.Open(i, absl::Milliseconds(500));
  }
  const double seconds = absl::ToDoubleSeconds(world.clock().Now() - begin);
  while (world.closed() < kAll) std::this_thread::yield();
  std::printf("contexts_opened_per_s=%.0f\n", kAll / seconds);
  Print("contexts", world.late_ms());
  std::printf("contexts_longest_pause_ms=%.3f\n", world.LongestPauseMs());
}

// `count` contexts are opened and end at once, so long after.
void Burst(const char* name, size_t count, absl::Duration after) {
  World world(count);
  const Instant end = world.clock().Now() + after;
  for (size_t i = 0; i < count; ++i) {
    world.Open(i, end - world.clock().Now());
  }
  if (world.closed() > 0) {
    std::fprintf(stderr, "bench_lateness: %zu were not opened in time\n",
                 count);
    std::exit(1);
  }
  std::printf("%s_opening_longest_pause_ms=%.3f\n", name,
              world.LongestPauseMs());
  world.ResetPause();
  while (world.closed() < count) std::this_thread::yield();
  std::printf("%s_gone_after_s=%.3f\n", name,
              absl::ToDoubleSeconds(world.clock().Now() - end));
  std::printf("%s_longest_pause_ms=%.3f\n", name, world.LongestPauseMs());
}

}  // namespace
}  // namespace leasehold

int main(int argc, char** argv) {
  const auto chosen = [&](std::string_view name) {
    return argc == 1 ||
           std::any_of(argv + 1, argv + argc,
                       [&](const char* arg) { return name == arg; });
  };
  if (chosen("manager")) leasehold::ManagerAlone();
  if (chosen("contexts")) leasehold::Contexts();
  if (chosen("burst")) {
    leasehold::Burst("burst", leasehold::kMillion, absl::Seconds(6));
  }
  if (argc > 1 && chosen("ten_million")) {
    leasehold::Burst("ten_million", 10 * leasehold::kMillion,
                     absl::Seconds(60));
  }
  return 0;
}
