// Console: one line an event on standard output, as in the model's sample
// (`--console`).
//
//   operation request   "room-1"  Echo "Apple"
//   context created     "room-1"  generation 1795428691123456, idle timeout 20s
//   lease started       "room-1"  20s
//
// It is for people who watch a server for a while; the log is for machines.
//
// Thread-safety: safe.   Lifetime: the writer outlives it.
#ifndef LEASEHOLD_SERVICE_HOST_CONSOLE_H_
#define LEASEHOLD_SERVICE_HOST_CONSOLE_H_

#include <string>
#include <string_view>

#include "service/doors/call_observer.h"
#include "service/host/line_writer.h"
#include "service/instance/instance_context.h"
#include "service/instance/instance_headers.h"
#include "service/instance/instance_observer.h"

namespace leasehold {

class Console final : public InstanceObserver, public CallObserver {
 public:
  explicit Console(LineWriter& writer) : writer_(writer) {}

  void OnRequest(std::string_view method, const InstanceRequest& request,
                 std::string_view text) override;
  void OnResponse(std::string_view method, const InstanceContext& context,
                  std::string_view text) override;

  // Prints the words of the model's sample.
  void OnSingletonCreated(std::string_view instance_id) override;

  // Prints an event of work and workers: `what` happened ("work lost"), to
  // which orchestration (empty: to none), and more.
  void OnWork(std::string_view what, std::string_view instance_id,
              const std::string& more);

  void OnEvent(const InstanceEvent& event) override;

 private:
  void Line(std::string_view what, std::string_view instance_id,
            const std::string& more);

  LineWriter& writer_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_CONSOLE_H_
