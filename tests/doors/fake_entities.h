// FakeEntities: Entities without an engine, for tests of doors.
//
// It notes each call as one line, such as `GetEntity default/@c@a`, and answers
// at once with `failure`, or with what the test has set.
//
// Thread-safety: calls are safe; the test sets answers while no call is under
// way.   Lifetime: outlives the server.
#ifndef LEASEHOLD_TESTS_DOORS_FAKE_ENTITIES_H_
#define LEASEHOLD_TESTS_DOORS_FAKE_ENTITIES_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/orchestration/entities.h"
#include "tests/server/events.h"

namespace leasehold {

class FakeEntities final : public Entities {
 public:
  absl::Status failure;            // Not OK: the answer to everything.
  std::optional<EntityInfo> info;  // nullopt: there is none.
  EntityList list;
  std::optional<OperationResult> result;  // nullopt: it does not end.
  int64_t orphans = 0;

  // The oldest call that was not taken yet; waits for it.
  std::string TakeCall() { return calls_.Take("a call of the port"); }
  size_t untaken_calls() const { return calls_.size(); }

  // ---- Entities ----

  void Signal(EntitySignal signal, DoneStatus done) override {
    Note("Signal ", Show(signal.key), " ", signal.operation, " ",
         signal.input.value_or("none"), " ", signal.request_id,
         signal.scheduled.has_value()
             ? absl::StrCat(" at ", signal.scheduled->seconds)
             : "");
    done(failure);
  }
  WaitId Call(EntityCall call, Done<OperationResult> done) override {
    Note("Call ", Show(call.key), " ", call.operation, " ",
         call.input.value_or("none"), " ", call.request_id);
    if (!failure.ok()) {
      done(failure);
    } else if (result.has_value()) {
      done(*result);
    }
    return ++last_id_;
  }
  bool CancelCall(WaitId id) override {
    Note("CancelCall ", id);
    return true;
  }
  WaitId AwaitChange(EntityWait wait, Done<SharedEntity> done) override {
    Note("AwaitChange ", Show(wait.key), wait.state ? " state" : "",
         wait.seen.has_value() ? absl::StrCat(" seen ", *wait.seen) : "");
    if (!failure.ok()) {
      done(failure);
    } else if (wait.seen != info->print) {
      done(std::make_shared<const EntityInfo>(*info));
    }
    return ++last_id_;
  }
  bool CancelWait(const InstanceKey& key, WaitId id) override {
    Note("CancelWait ", Show(key), " ", id);
    return true;
  }
  void GetEntity(const InstanceKey& key, bool state,
                 Done<std::optional<EntityInfo>> done) override {
    Note("GetEntity ", Show(key), state ? " state" : "");
    if (!failure.ok()) return done(failure);
    done(info);
  }
  void QueryEntities(EntityListQuery query, Done<EntityList> done) override {
    Note("QueryEntities ", query.tenant, "/", query.id_prefix, "* ",
         query.count_max, query.modified_from.has_value() ? " from" : "",
         query.modified_to.has_value() ? " to" : "",
         query.with_state ? " state" : "",
         query.with_stateless ? " stateless" : "", " ",
         std::string(query.page_token.field), "=", query.page_token.text);
    if (!failure.ok()) return done(failure);
    done(list);
  }
  void EraseEntity(const InstanceKey& key, Done<bool> done) override {
    Note("EraseEntity ", Show(key));
    if (!failure.ok()) return done(failure);
    done(info.has_value());
  }
  void LimitLock(EntityLockLimit limit, Done<bool> done) override {
    Note("LimitLock ", Show(limit.key), " ", limit.section_id, " ",
         absl::FormatDuration(limit.timeout));
    if (!failure.ok()) return done(failure);
    done(info.has_value() && info->lock.has_value());
  }
  void ReleaseOrphanedLocks(std::string tenant, Done<int64_t> done) override {
    Note("ReleaseOrphanedLocks ", tenant);
    if (!failure.ok()) return done(failure);
    done(orphans);
  }

 private:
  template <typename... Parts>
  void Note(const Parts&... parts) {
    calls_.Put(absl::StrCat(parts...));
  }
  static std::string Show(const InstanceKey& key) {
    return absl::StrCat(key.tenant, "/", key.id);
  }

  Mailbox<std::string> calls_;
  WaitId last_id_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_DOORS_FAKE_ENTITIES_H_
