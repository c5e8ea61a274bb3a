// A dispatcher, with work and workers that a test makes.
//
// Thread-safety: one thread, that of the test.   Lifetime: work outlives the
// dispatcher that has it, or is ended before.
#ifndef LEASEHOLD_TESTS_DISPATCH_DISPATCHER_FIXTURE_H_
#define LEASEHOLD_TESTS_DISPATCH_DISPATCHER_FIXTURE_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "service/dispatch/dispatcher.h"

namespace leasehold {

class NullSink final : public WorkSink {
 public:
  void Send(std::string) override {}
};

class FullSink final : public WorkSink {
 public:
  void Send(std::string) override {}
  size_t untaken() const override { return bytes; }
  size_t bytes = 0;
};

struct TestWork final : Work {
  explicit TestWork(std::string name, std::string version = "",
                    WorkKind kind = WorkKind::kTurn,
                    std::string_view tenant = "")
      : Work(kind, tenant, std::move(name), std::move(version)) {}
};

inline std::optional<std::vector<WorkFilter>> Only(
    std::vector<WorkFilter> filters) {
  return filters;
}

class DispatcherTest : public testing::Test {
 protected:
  WorkerId Add(WorkerOptions options = {}) {
    return dispatcher_.AddWorker(std::move(options),
                                 std::make_shared<NullSink>());
  }
  // Adds a worker that takes turns as `filters` say.
  WorkerId AddFor(std::optional<std::vector<WorkFilter>> filters) {
    WorkerOptions options;
    options.filters[0] = std::move(filters);
    return Add(std::move(options));
  }
  WorkerId AddWithSlots(size_t turns, size_t activities = 0) {
    WorkerOptions options;
    options.slots = {turns, activities};
    return Add(std::move(options));
  }
  // The worker goes, and what was out with it is put back.
  void Remove(WorkerId worker) {
    dispatcher_.CloseWorker(worker);
    for (Work* work : dispatcher_.WorkOf(worker)) dispatcher_.PutBack(*work);
  }
  // The worker that gets `work` next; 0: the work stays queued.
  WorkerId Give(Work& work) {
    dispatcher_.Enqueue(work);
    const Work* next = dispatcher_.Next(0);
    if (next == nullptr) return 0;
    EXPECT_EQ(next, &work);
    return work.worker;
  }
  // The worker answers something; true: it was silent.
  bool Hear(WorkerId worker) {
    return dispatcher_.Heard(worker, WorkKind::kActivity, "");
  }
  void Answer(TestWork& work) {
    dispatcher_.Heard(work.worker, work.kind, work.token);
    dispatcher_.End(work);
  }
  // All work that can go out, in order.
  std::vector<Work*> GiveAll() {
    std::vector<Work*> out;
    while (Work* next = dispatcher_.Next(0)) out.push_back(next);
    return out;
  }

  Dispatcher dispatcher_{42};
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_DISPATCH_DISPATCHER_FIXTURE_H_
