// EchoInstance: the in-memory instance of the Echo service, an extension.
//
// It counts the echoes of its context, over all channels, and lives and dies
// with the context. From the first reader that joins on, it keeps the latest
// echoes in an EchoRoom for those who join.
//
// Thread-safety: safe.   Lifetime: as every Extension.
#ifndef LEASEHOLD_SERVICE_ECHO_ECHO_INSTANCE_H_
#define LEASEHOLD_SERVICE_ECHO_ECHO_INSTANCE_H_

#include <atomic>
#include <cstdint>
#include <string_view>

#include "service/echo/echo_room.h"
#include "service/instance/extension.h"
#include "service/instance/instance_context.h"

namespace leasehold {

class EchoInstance final : public Extension {
 public:
  ~EchoInstance() override;

  bool MayBlock() const override { return false; }

  // The one of `context`, made by the first call that asks.
  static EchoInstance& Of(InstanceContext& context);

  // Counts one echo, and tells it to those who joined. Returns its number, from
  // 1. One atomic addition if nobody ever joined.
  uint64_t Echo(std::string_view text);

  // The room of those who join; made by the first who asks.
  EchoRoom& Room();

 private:
  // Set in echoes_ once there is a room: later echoes are recorded.
  static constexpr uint64_t kRecorded = uint64_t{1} << 63;

  std::atomic<uint64_t> echoes_{0};
  std::atomic<EchoRoom*> room_{nullptr};  // Owned.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ECHO_ECHO_INSTANCE_H_
