// EchoInstance: the in-memory instance of the Echo service, an extension.
//
// It counts the echoes of its context, over all channels, and lives and dies
// with the context. Once the first reader has joined, it keeps the latest
// echoes in an EchoRoom for all readers.
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

  // The EchoInstance of `context`, created on first use.
  static EchoInstance& Of(InstanceContext& context);

  // Counts one echo, and passes it to the readers. Returns its number, from 1.
  // One atomic addition if nobody ever joined.
  uint64_t Echo(std::string_view text);

  // The room of the readers; created on first use.
  EchoRoom& Room();

 private:
  // Set in echoes_ once there is a room: later echoes are recorded.
  static constexpr uint64_t kRecorded = uint64_t{1} << 63;

  std::atomic<uint64_t> echoes_{0};
  std::atomic<EchoRoom*> room_{nullptr};  // Owned.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ECHO_ECHO_INSTANCE_H_
