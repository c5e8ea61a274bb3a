// BatchRun: does one thing to each of many orchestrations, a few at a time, and
// tells how far it is, line by line (application/x-ndjson):
//
//   {"done":128,"failed":1}                               now and then
//   {"instance_id":"a","code":"...","message":"..."}      each that failed
//   {"finished":true,"done":400,"failed":1,"left":0}      at the end
//
// It ends early when it is stopped, when its time is over, or when nothing more
// can be done; the last line then says why (`why`), and has a token for the
// rest (`rest`): those that failed, and those that are left as they were; only
// the latter if its time was over (`more`), so that one can go on. With its
// client gone it begins no more of them. A client that does not read what
// has failed holds it up.
//
// Somebody who asks too often, or too much at once, is told to come back later:
// so does this.
//
// Thread-safety: safe.   Lifetime: shared by its body and by what is under way;
// what the parts name outlives it.
#ifndef LEASEHOLD_SERVICE_HTTP_BATCH_RUN_H_
#define LEASEHOLD_SERVICE_HTTP_BATCH_RUN_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/http/http_call.h"
#include "service/http/http_message.h"
#include "service/instance/alarm_clock.h"
#include "service/instance/executor.h"

namespace leasehold {

class BatchRun : public std::enable_shared_from_this<BatchRun> {
 public:
  static constexpr size_t kAtOnce = 16;
  // Lines that nobody has read, of those that it waits for.
  static constexpr size_t kUnreadMax = 64 << 10;
  // So often in a row it may be told to come back later.
  static constexpr int kRefusalsMax = 5;
  // Then whoever began it has to ask again, and say again who he is.
  static constexpr absl::Duration kTimeMax = absl::Minutes(1);

  struct Parts {
    const Clock& clock;
    Executor& executor;
    AlarmClock& alarms;
    // Does it to one; answers once, on any thread.
    std::function<void(const std::string& id, HttpCall::Answer answer)> run;
    // A token for those that are left, as the last line has it.
    std::function<nlohmann::json(std::vector<std::string> ids)> keep;
  };

  BatchRun(Parts parts, std::vector<std::string> ids);

  // What it tells. Begins it; once.
  std::unique_ptr<HttpBody> Begin() ABSL_LOCKS_EXCLUDED(mu_);
  // Begins no more of them. Idempotent.
  void Stop(std::string why) ABSL_LOCKS_EXCLUDED(mu_);
  // The same, and nobody is told any more.
  void Abandon() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class Body;
  class Pause;

  // Has Pump run on the executor.
  void PostPumpLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Begins as many as may be under way.
  void Pump() ABSL_LOCKS_EXCLUDED(mu_);
  bool TakeNextLocked(std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnAnswer(const std::string& id, const HttpResponse& response)
      ABSL_LOCKS_EXCLUDED(mu_);
  void NoteFailureLocked(const std::string& id, const HttpResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // It is to come back later.
  void PutOffLocked(const std::string& id, const HttpResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndPause() ABSL_LOCKS_EXCLUDED(mu_);
  // Writes the last line once nothing is under way and nothing will be.
  void MayEnd() ABSL_LOCKS_EXCLUDED(mu_);
  void Next(HttpBody::Done done) ABSL_LOCKS_EXCLUDED(mu_);
  // Hands over what there is to tell, if somebody waits for it.
  void Tell() ABSL_LOCKS_EXCLUDED(mu_);
  std::string TakeLinesLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Parts parts_;
  const std::vector<std::string> ids_;
  const size_t step_;  // News are told of so many at a time.
  const Instant end_;

  Mutex mu_;
  size_t next_ ABSL_GUARDED_BY(mu_) = 0;                // Of ids_.
  std::deque<std::string> again_ ABSL_GUARDED_BY(mu_);  // Were put off.
  std::vector<std::string> failures_ ABSL_GUARDED_BY(mu_);
  size_t running_ ABSL_GUARDED_BY(mu_) = 0;
  size_t done_ ABSL_GUARDED_BY(mu_) = 0;
  size_t told_ ABSL_GUARDED_BY(mu_) = 0;
  int refusals_ ABSL_GUARDED_BY(mu_) = 0;  // In a row.
  bool pausing_ ABSL_GUARDED_BY(mu_) = false;
  bool pump_posted_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool out_of_time_ ABSL_GUARDED_BY(mu_) = false;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;  // The last line is there.
  bool gone_ ABSL_GUARDED_BY(mu_) = false;   // The client.
  std::string why_ ABSL_GUARDED_BY(mu_);
  std::string lines_ ABSL_GUARDED_BY(mu_);
  HttpBody::Done waiting_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_BATCH_RUN_H_
