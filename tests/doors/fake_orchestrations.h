// FakeOrchestrations: an Orchestrations without an engine, for tests of doors.
//
// It notes each call as one line, such as `Suspend default/a "why"`, and
// answers at once with the value that the test has set, or with `failure`.
// Only a Wait stays until the test ends it, or the door cancels it.
//
// Thread-safety: calls are safe; the test sets the answers while no call is
// under way.   Lifetime: outlives the server.
#ifndef LEASEHOLD_TESTS_DOORS_FAKE_ORCHESTRATIONS_H_
#define LEASEHOLD_TESTS_DOORS_FAKE_ORCHESTRATIONS_H_

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "service/orchestration/orchestrations.h"
#include "tests/server/events.h"

namespace leasehold {

class FakeOrchestrations final : public Orchestrations {
 public:
  using SharedInfoDone = Done<SharedInfo>;

  // ---- What the test sets ----

  absl::Status failure;  // Not OK: the answer to everything.
  absl::Status refusal;  // Not OK: the answer to what changes something.
  StartReceipt receipt;
  bool hold_starts = false;               // They are answered by AnswerStarts.
  std::optional<OrchestrationInfo> info;  // nullopt: there is none.
  OrchestrationPage page;
  CountedOrchestrations counts;
  FinishedIdsPage finished;
  std::vector<StoredRun> runs;
  PurgeResult purged;
  std::vector<InstanceKey> not_open;
  std::deque<HistoryPage> history;  // One for each ReadHistory.
  // Of as many ReadHistory calls, those that are not OK have no page.
  std::deque<absl::Status> lost;

  // ---- What the door did ----

  Requester by;                        // Who sent the last start or restart.
  CallTrace restart_trace;             // Of the last restart.
  std::vector<int32_t> last_statuses;  // That the last query asked for.

  // The oldest call that was not taken yet; waits for it.
  std::string TakeCall() { return calls_.Take("a call of the port"); }
  size_t untaken_calls() const { return calls_.size(); }

  // A wait that is under way; waits for it.
  struct Waiting {
    WaitRequest request;
    SharedInfoDone done;
  };
  Waiting TakeWait() { return waits_.Take("a wait"); }

  // ---- Orchestrations ----

  void Start(StartRequest r, Done<StartReceipt> done) override {
    by = r.by;
    Note("Start ", Show(r.key), " ", r.name, " version=", Show(r.version),
         " input=", Show(r.input), " request=", r.request_id,
         r.policy.replaceable.has_value() ? " policy" : "");
    if (!refusal.ok()) return done(refusal);
    if (hold_starts) {
      held_starts_.push_back(std::move(done));
    } else {
      Answer(receipt, done);
    }
  }
  void AnswerStarts() {
    for (const Done<StartReceipt>& done : std::exchange(held_starts_, {})) {
      Answer(receipt, done);
    }
  }
  void Restart(const InstanceKey& key, std::optional<std::string> new_id,
               Requester r, const CallTrace& trace,
               Done<StartReceipt> done) override {
    by = std::move(r);
    Note("Restart ", Show(key), new_id.has_value() ? " under a new ID" : "");
    restart_trace = trace;
    if (!refusal.ok()) return done(refusal);
    Answer(receipt, done);
  }
  void Get(const InstanceKey& key, bool payloads,
           Done<std::optional<OrchestrationInfo>> done) override {
    Note("Get ", Show(key), payloads ? " payloads" : "");
    Answer(info, done);
  }
  WaitId Wait(WaitRequest r, SharedInfoDone done) override {
    Note("Wait ", Show(r.key), " ", static_cast<int>(r.until),
         r.payloads ? " payloads" : "", " seen=", r.seen);
    waits_.Put({std::move(r), std::move(done)});
    return kWaitId;
  }
  bool CancelWait(const InstanceKey& key, WaitId id) override {
    Note("CancelWait ", Show(key), id == kWaitId ? "" : " of another wait");
    return true;
  }
  void RaiseEvent(const InstanceKey& key, std::string name, Payload input,
                  DoneStatus done) override {
    Note("RaiseEvent ", Show(key), " ", name, " ", Show(input));
    done(Refused());
  }
  void Suspend(const InstanceKey& key, Payload reason,
               DoneStatus done) override {
    Note("Suspend ", Show(key), " ", Show(reason));
    done(Refused());
  }
  void Resume(const InstanceKey& key, Payload reason,
              DoneStatus done) override {
    Note("Resume ", Show(key), " ", Show(reason));
    done(Refused());
  }
  void Terminate(const InstanceKey& key, Payload output, bool recursive,
                 DoneStatus done) override {
    Note("Terminate ", Show(key), " ", Show(output),
         recursive ? " recursive" : "");
    done(Refused());
  }
  void TerminateByForce(const InstanceKey& key, Payload output, bool recursive,
                        DoneStatus done) override {
    Note("TerminateByForce ", Show(key), " ", Show(output),
         recursive ? " recursive" : "");
    done(Refused());
  }
  void TerminateNow(std::vector<InstanceKey> keys, Payload output,
                    Done<std::vector<InstanceKey>> done) override {
    Note("TerminateNow ", Show(keys), " ", Show(output));
    Answer(not_open, done);
  }
  void Rewind(const InstanceKey& key, Payload reason,
              DoneStatus done) override {
    Note("Rewind ", Show(key), " ", Show(reason));
    done(Refused());
  }
  void Purge(std::vector<InstanceKey> keys, bool recursive,
             Done<PurgeResult> done) override {
    Note("Purge ", Show(keys), recursive ? " recursive" : "");
    Answer(purged, done);
  }
  void PurgeMatching(OrchestrationFilter filter, bool recursive,
                     absl::Duration timeout, Done<PurgeResult> done) override {
    Note("PurgeMatching ", Show(filter), recursive ? " recursive" : "", " for ",
         absl::ToInt64Seconds(timeout), " s");
    Answer(purged, done);
  }
  void Wipe(std::string tenant, DoneStatus done) override {
    Note("Wipe ", tenant);
    done(failure);
  }
  void Query(OrchestrationQuery q, Done<OrchestrationPage> done) override {
    Note("Query ", Show(q.filter), " ", q.filter.count_max, " ",
         std::string(q.page_token.field), "=", q.page_token.text,
         q.order == RowOrder::kNewestFirst ? " newest" : "",
         q.payloads ? " payloads" : "");
    last_statuses = q.filter.statuses;
    Answer(page, done);
  }
  void Count(OrchestrationFilter filter, absl::Duration timeout,
             Done<CountedOrchestrations> done) override {
    Note("Count ", Show(filter), " for ", absl::ToInt64Seconds(timeout), " s");
    Answer(counts, done);
  }
  void ListFinished(FinishedIdsQuery q, Done<FinishedIdsPage> done) override {
    Note("ListFinished ", q.tenant, " [", absl::StrJoin(q.statuses, ","), "] ",
         q.count_max, " ", std::string(q.page_token.field), "=",
         q.page_token.text);
    Answer(finished, done);
  }
  void ReadRuns(const InstanceKey& key,
                Done<std::vector<StoredRun>> done) override {
    Note("ReadRuns ", Show(key));
    Answer(runs, done);
  }
  void ReadHistory(const InstanceKey& key, HistoryQuery query,
                   Done<HistoryPage> done) override {
    Note("ReadHistory ", Show(key), " ", Show(query.execution_id),
         query.replaced ? " or a replaced one" : "", " from \"",
         query.page_token.text, "\"");
    if (!lost.empty()) {
      const absl::Status status = lost.front();
      lost.pop_front();
      if (!status.ok()) return done(status);
    }
    if (history.empty()) return Answer(HistoryPage(), done);
    HistoryPage next = std::move(history.front());
    history.pop_front();
    Answer(next, done);
  }

 private:
  static constexpr WaitId kWaitId = 17;

  template <typename... Parts>
  void Note(const Parts&... parts) {
    calls_.Put(absl::StrCat(parts...));
  }
  const absl::Status& Refused() const {
    return failure.ok() ? refusal : failure;
  }
  template <typename T>
  void Answer(const T& value, const Done<T>& done) {
    if (!failure.ok()) return done(failure);
    done(value);
  }

  static std::string Show(const InstanceKey& key) {
    return absl::StrCat(key.tenant, "/", key.id);
  }
  static std::string Show(const std::vector<InstanceKey>& keys) {
    std::vector<std::string> texts;
    for (const InstanceKey& key : keys) texts.push_back(Show(key));
    return absl::StrJoin(texts, ",");
  }
  static std::string Show(const Payload& payload) {
    return payload.has_value() ? absl::StrCat("\"", *payload, "\"") : "none";
  }
  static std::string Show(const OrchestrationFilter& filter) {
    return absl::StrCat(filter.tenant, "/", filter.id_prefix, "* [",
                        absl::StrJoin(filter.statuses, ","), "]",
                        filter.summary.name.empty() ? "" : " named ",
                        filter.summary.name,
                        filter.summary.tags.empty() ? "" : " tagged ",
                        absl::StrJoin(filter.summary.tags, ","));
  }

  Mailbox<std::string> calls_;
  Mailbox<Waiting> waits_;
  std::vector<Done<StartReceipt>> held_starts_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_DOORS_FAKE_ORCHESTRATIONS_H_
