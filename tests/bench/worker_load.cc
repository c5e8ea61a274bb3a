// worker_load: runs orchestrations with our own C++ client and worker, in one
// process, and measures.
//
//   worker_load ADDRESS ping|chain:N|fan:N COUNT IN_FLIGHT
//
// The works are those of orchestration_load and durable_go_load, and as with
// the latter an orchestration has ended when the client, which waits for it, is
// told so. Prints a line of JSON.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/orchestrations/orchestration.h"
#include "client/orchestrations/orchestration_client.h"
#include "client/worker/worker.h"

namespace {

namespace client = leasehold::client;
namespace worker = leasehold::worker;
using SteadyClock = std::chrono::steady_clock;

constexpr char kPayload[] = "0123456789 0123456789 0123456789";

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "worker_load: %s\n", status.ToString().c_str());
  std::_Exit(1);
}

worker::Task<std::string> Act(worker::OrchestrationContext& context) {
  return context.CallActivity<std::string>("Act", kPayload);
}

worker::Task<void> Chain(worker::OrchestrationContext& context,
                         int activities) {
  for (int i = 0; i < activities; ++i) co_await Act(context);
}

worker::Task<void> Fan(worker::OrchestrationContext& context, int activities) {
  std::vector<worker::Task<std::string>> tasks;
  for (int i = 0; i < activities; ++i) tasks.push_back(Act(context));
  for (worker::Task<std::string>& task : tasks) co_await std::move(task);
}

// Starts one, and waits until it has completed.
void RunOne(client::OrchestrationClient& on) {
  const auto started =
      on.Start({.name = "Load", .input = '"' + std::string(kPayload) + '"'});
  Must(started.status());
  const auto state = on.WaitForCompletion(
      started->instance_id, absl::InfiniteDuration(), /*payloads=*/false);
  Must(state.status());
  if (state->status != client::OrchestrationStatus::kCompleted) {
    Must(absl::InternalError("an orchestration did not complete"));
  }
}

void Run(const std::string& address, bool fan, int activities, int count,
         int in_flight) {
  worker::WorkerOptions options;
  options.max_concurrent_turns = 1000;
  options.max_concurrent_activities = 1000;
  worker::Worker work(address, options);
  work.AddOrchestrator(
      "Load", [fan, activities](worker::OrchestrationContext& context) {
        return fan ? Fan(context, activities) : Chain(context, activities);
      });
  work.AddActivity("Act", [] { return std::string(kPayload); });
  Must(work.Start());
  const auto on = client::OrchestrationClient::Connect(address);
  Must(on.status());

  std::atomic<int> left = count;
  const auto begin = SteadyClock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < in_flight; ++i) {
    threads.emplace_back([&] {
      while (left.fetch_sub(1) > 0) RunOne(**on);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> time = SteadyClock::now() - begin;
  std::printf("{\"ended\": %d, \"per_second\": %.0f}\n", count,
              count / time.count());
  Must(work.Stop());
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const std::vector<std::string> work =
      absl::StrSplit(argc > 2 ? argv[2] : "", ':');
  const bool ping = work.size() == 1 && work[0] == "ping";
  const bool other =
      work.size() == 2 && (work[0] == "chain" || work[0] == "fan");
  int activities = 0;
  int count = 0;
  int in_flight = 0;
  if (argc != 5 || !(ping || other) ||
      (other && !absl::SimpleAtoi(work[1], &activities)) ||
      !absl::SimpleAtoi(argv[3], &count) ||
      !absl::SimpleAtoi(argv[4], &in_flight)) {
    std::fprintf(
        stderr,
        "usage: worker_load ADDRESS ping|chain:N|fan:N COUNT IN_FLIGHT\n");
    return 2;
  }
  Run(argv[1], work[0] == "fan", activities, count, in_flight);
  return 0;
}
