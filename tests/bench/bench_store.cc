// bench_store: the store without a server, the floor under what a server with
// it can do.
//
//   bench_store DIRECTORY|memory ACTIVITIES COUNT [BATCH]
//
// Commits the rows of COUNT orchestrations with ACTIVITIES activities in a
// chain in a bare loop: of BATCH (default 64) orchestrations at a time the
// start, then each turn and each end of an activity, with one commit for all of
// them. The rows are those that the engine makes of what orchestration_load
// does. Prints a line of JSON.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lease/clock.h"
#include "service/orchestration/history.h"
#include "service/orchestration/orchestration_info.h"
#include "service/storage/memory_store.h"
#include "service/storage/sqlite_store.h"
#include "tests/support/partition_writer.h"

namespace leasehold {
namespace {

constexpr char kPayload[] = "\"0123456789 0123456789 0123456789\"";
constexpr char kExecution[] = "0123456789abcdef0123456789abcdef";

// What one orchestration has committed, change by change.
class Orchestration {
 public:
  Orchestration(RunNumber number, int activities)
      : number_(number), activities_(activities) {
    summary_.name = "Load";
    summary_.execution_id = kExecution;
    summary_.updated = now_;
  }

  // The start; then turns and, between two of them, the end of an activity.
  size_t steps() const { return 2 + 2 * static_cast<size_t>(activities_); }
  std::vector<Change> Step(size_t step) {
    if (step == 0) return Start();
    return step % 2 == 1 ? Turn(static_cast<int>(step / 2))
                         : EndActivity(static_cast<int>(step / 2));
  }

 private:
  std::vector<Change> Start() {
    const std::string id = absl::StrCat("00000000-0000-0000-0000-",
                                        absl::Dec(number_, absl::kZeroPad12));
    ExecutionStarted started;
    started.name = summary_.name;
    started.input = kPayload;
    started.orchestration = {id, kExecution};
    return {
        PutRun{{.number = number_,
                .tenant = {},
                .id = id,
                .status = static_cast<int32_t>(OrchestrationStatus::kPending),
                .created = ToStored(ToTime(now_)),
                .finished = std::nullopt,
                .summary = EncodeMessage(summary_)}},
        Post(std::move(started))};
  }

  // The turn after `done` activities.
  std::vector<Change> Turn(int done) {
    const bool last = done == activities_;
    const auto status =
        last ? OrchestrationStatus::kCompleted : OrchestrationStatus::kRunning;
    TaskScheduled task;
    task.name = "Act";
    task.input = kPayload;
    std::string chunk =
        Frame(HistoryEvent::kFromOutside, OrchestratorStarted{});
    AppendFrame(chunk, kStoredFrame, message_);
    if (last) {
      chunk += Frame(done + 1,
                     ExecutionCompleted{static_cast<int32_t>(status), {}, {}});
    } else {
      chunk += Frame(done + 1, task);
    }
    summary_.turn_time = now_;
    std::vector<Change> changes = {AppendHistory{number_, done, chunk}};
    UpdateRun update{number_, static_cast<int32_t>(status), std::nullopt,
                     EncodeMessage(summary_)};
    if (last) {
      update.finished = ToStored(ToTime(now_));
    } else {
      changes.push_back(TakeMessages{number_, sequence_});
      changes.push_back(PutTask{{number_, done + 1, EncodeMessage(task)}});
    }
    changes.push_back(std::move(update));
    return changes;
  }

  std::vector<Change> EndActivity(int activity) {
    return {DropTask{number_, activity},
            Post(TaskCompleted{activity, kPayload})};
  }

  PutMessage Post(EventBody body) {
    message_ = EncodeEvent({HistoryEvent::kFromOutside, now_, std::move(body)});
    return {{.number = number_,
             .sequence = ++sequence_,
             .execution = kExecution,
             .event = message_}};
  }

  std::string Frame(int32_t id, EventBody body) const {
    std::string frame;
    AppendFrame(frame, kStoredFrame, EncodeEvent({id, now_, std::move(body)}));
    return frame;
  }

  const RunNumber number_;
  const int activities_;
  // Three of four times have as many bytes as this one.
  const Timestamp now_ = {absl::ToUnixSeconds(absl::Now()), 500'000'000};
  Summary summary_;
  int64_t sequence_ = 0;
  std::string message_;  // The last one, encoded.
};

// The batches of all, in order.
std::vector<std::vector<Change>> MakeBatches(int activities, int count,
                                             int batch) {
  std::vector<std::vector<Change>> batches;
  for (int first = 0; first < count; first += batch) {
    std::vector<Orchestration> group;
    for (int i = first; i < std::min(count, first + batch); ++i) {
      group.emplace_back(i + 1, activities);
    }
    for (size_t step = 0; step < group.front().steps(); ++step) {
      std::vector<Change>& changes = batches.emplace_back();
      for (Orchestration& one : group) {
        std::vector<Change> of_one = one.Step(step);
        std::move(of_one.begin(), of_one.end(), std::back_inserter(changes));
      }
    }
  }
  return batches;
}

int Run(const std::string& where, int activities, int count, int batch) {
  RealClock clock;
  std::unique_ptr<Store> store;
  if (where == "memory") {
    store = std::make_unique<MemoryStore>();
  } else {
    store = std::make_unique<SqliteStore>(
        SqliteStoreOptions{.directory = where}, clock);
  }
  const std::vector<std::vector<Change>> batches =
      MakeBatches(activities, count, batch);
  PartitionWriter writer;
  absl::Status status = writer.Open(*store);
  const std::clock_t cpu_begin = std::clock();
  const Instant begin = clock.Now();
  for (const std::vector<Change>& changes : batches) {
    if (status.ok()) status = writer.Commit(*store, changes);
  }
  const double seconds = absl::ToDoubleSeconds(clock.Now() - begin);
  const double cpu_s =
      static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
  if (!status.ok()) {
    std::fprintf(stderr, "bench_store: %s\n", status.ToString().c_str());
    return 1;
  }
  std::printf(
      "{\"per_second\": %.0f, \"cpu_us\": %.1f, \"commits\": %zu, "
      "\"commit_us\": %.0f}\n",
      count / seconds, 1e6 * cpu_s / count, batches.size(),
      1e6 * seconds / static_cast<double>(batches.size()));
  return 0;
}

}  // namespace
}  // namespace leasehold

int main(int argc, char** argv) {
  int activities = 0;
  int count = 0;
  int batch = 64;
  if (argc < 4 || argc > 5 || !absl::SimpleAtoi(argv[2], &activities) ||
      !absl::SimpleAtoi(argv[3], &count) ||
      (argc > 4 && !absl::SimpleAtoi(argv[4], &batch)) || activities < 0 ||
      count < 1 || batch < 1) {
    std::fprintf(stderr,
                 "usage: bench_store DIRECTORY|memory ACTIVITIES COUNT "
                 "[BATCH]\n");
    return 2;
  }
  return leasehold::Run(argv[1], activities, count, batch);
}
