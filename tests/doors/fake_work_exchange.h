// FakeWorkExchange: a WorkExchange without an engine, for tests of doors.
//
// It notes each call as one line, such as `Abandon turn token`, and answers at
// once with `failure`, or OK. The test sends items through a worker's sink.
//
// Thread-safety: calls are safe; the test sets `failure` while no call is under
// way.   Lifetime: outlives the server.
#ifndef LEASEHOLD_TESTS_DOORS_FAKE_WORK_EXCHANGE_H_
#define LEASEHOLD_TESTS_DOORS_FAKE_WORK_EXCHANGE_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "service/orchestration/work_exchange.h"
#include "tests/server/events.h"

namespace leasehold {

class FakeWorkExchange final : public WorkExchange {
 public:
  static constexpr WorkerId kWorker = 9;

  struct Connected {
    WorkerOptions options;
    std::shared_ptr<WorkSink> sink;
  };

  absl::Status failure;  // Not OK: the answer to every answer of a worker.

  // Each waits until the door has called.
  Connected TakeWorker() { return workers_.Take("a worker to connect"); }
  std::string TakeCall() { return calls_.Take("a call of the exchange"); }
  size_t untaken_calls() const { return calls_.size(); }

  // ---- WorkExchange ----

  WorkerId Connect(WorkerOptions options,
                   std::shared_ptr<WorkSink> sink) override {
    workers_.Put({std::move(options), std::move(sink)});
    return kWorker;
  }
  void Disconnect(WorkerId id) override { Note("Disconnect ", id); }
  void OnWorkTaken() override { Note("OnWorkTaken"); }
  void CompleteTurn(const WorkName& name, TurnAnswer answer,
                    DoneStatus done) override {
    Note("CompleteTurn ", Show(name), " ", answer.actions.size(), " actions");
    done(failure);
  }
  void CompleteActivity(const WorkName& name, EventBody end,
                        DoneStatus done) override {
    const auto* completed = std::get_if<TaskCompleted>(&end);
    Note("CompleteActivity ", Show(name), " ", name.task_id, " ",
         completed != nullptr ? completed->result.value_or("none") : "failed");
    done(failure);
  }
  void CompleteEntity(const WorkName& name, BatchAnswer answer,
                      DoneStatus done) override {
    Note("CompleteEntity ", Show(name), " ", answer.results.size(), " results ",
         answer.actions.size(), " actions ", answer.state.value_or("none"));
    done(failure);
  }
  void RefuseAnswer(WorkKind kind, const WorkName& name,
                    std::string_view reason) override {
    Note("RefuseAnswer ", Show(kind), " ", Show(name), " ",
         std::string(reason));
  }
  void Abandon(WorkKind kind, const WorkName& name) override {
    Note("Abandon ", Show(kind), " ", name.token);
  }

 private:
  template <typename... Parts>
  void Note(const Parts&... parts) {
    calls_.Put(absl::StrCat(parts...));
  }
  static std::string Show(WorkKind kind) {
    if (kind == WorkKind::kEntity) return "entity";
    return kind == WorkKind::kTurn ? "turn" : "activity";
  }
  static std::string Show(const WorkName& name) {
    return absl::StrCat(name.key.tenant, "/", name.key.id, " ", name.token);
  }

  Mailbox<Connected> workers_;
  Mailbox<std::string> calls_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_DOORS_FAKE_WORK_EXCHANGE_H_
