// Console: what the model's sample printed, a line an event (`--console`).
//
//   operation request   "room-1"  Echo "Apple"
//   context created     "room-1"  generation 1795428691123456, idle timeout 20s
//   lease started       "room-1"  20s
//
// For people who watch one server for a while, not for machines: the log is.
//
// Thread-safety: safe.   Lifetime: the writer outlives it.
#ifndef LEASEHOLD_SERVICE_SERVER_CONSOLE_H_
#define LEASEHOLD_SERVICE_SERVER_CONSOLE_H_

#include <string>
#include <string_view>

#include "service/instance/instance_context.h"
#include "service/instance/instance_headers.h"
#include "service/instance/instance_observer.h"
#include "service/server/line_writer.h"

namespace leasehold {

class Console final : public InstanceObserver {
 public:
  explicit Console(LineWriter& writer) : writer_(writer) {}

  void OnRequest(std::string_view method, const InstanceRequest& request,
                 std::string_view text);
  void OnResponse(std::string_view method, const InstanceContext& context,
                  std::string_view text);

  // The model's own words.
  void OnSingletonCreated(std::string_view instance_id);

  void OnEvent(const InstanceEvent& event) override;

 private:
  void Line(std::string_view what, std::string_view instance_id,
            const std::string& more);

  LineWriter& writer_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SERVER_CONSOLE_H_
