// Commands: what callers tell an orchestration that has not ended.
//
// Thread-safety: functions named ...Locked are called with the engine's lock
// held, all others without it.   Lifetime: a part of the engine.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_COMMANDS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_COMMANDS_H_

#include <string>

#include "absl/status/status.h"
#include "service/orchestration/inbox.h"
#include "service/orchestration/orchestration.h"
#include "service/orchestration/requests.h"

namespace leasehold {

class Engine;

class Commands {
 public:
  explicit Commands(Engine& engine) : engine_(engine) {}
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  void RaiseEvent(const InstanceKey& key, std::string name, Payload input,
                  DoneStatus done);
  void Suspend(const InstanceKey& key, Payload reason, DoneStatus done);
  void Resume(const InstanceKey& key, Payload reason, DoneStatus done);
  void Terminate(const InstanceKey& key, Payload output, bool recursive,
                 DoneStatus done);

 private:
  // ResourceExhausted: the inbox has no room for the message.
  absl::Status CheckInboxLocked(const Orchestration& target,
                                const Message& message) const;
  // Sends the event of `body(payload)`, unless the payload is too large: `what`
  // names it, as in "the reason has".
  template <typename MakeBody>
  void Tell(const InstanceKey& key, const char* what, Payload payload,
            MakeBody body, DoneStatus done);
  void SendCommand(const InstanceKey& key, HistoryEvent event, DoneStatus done);

  Engine& engine_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_COMMANDS_H_
