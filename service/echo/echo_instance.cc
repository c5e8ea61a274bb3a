#include "service/echo/echo_instance.h"

#include <memory>
#include <optional>

namespace leasehold {

EchoInstance::~EchoInstance() { delete room_.load(); }

EchoInstance& EchoInstance::Of(InstanceContext& context) {
  return *context.GetOrAttach<EchoInstance>();
}

uint64_t EchoInstance::Echo(std::string_view text) {
  const uint64_t before = echoes_.fetch_add(1, std::memory_order_acq_rel);
  const uint64_t sequence = (before & ~kRecorded) + 1;
  if ((before & kRecorded) != 0) room_.load()->Record(sequence, text);
  return sequence;
}

EchoRoom& EchoInstance::Room() {
  if (EchoRoom* room = room_.load()) return *room;
  auto made = std::make_unique<EchoRoom>();
  EchoRoom* there = nullptr;
  made->Open([this, &made, &there]() -> std::optional<uint64_t> {
    if (!room_.compare_exchange_strong(there, made.get())) return std::nullopt;
    // From here on every echo is recorded; the result is the last unrecorded
    // one.
    return echoes_.fetch_or(kRecorded, std::memory_order_acq_rel);
  });
  return there != nullptr ? *there : *made.release();
}

}  // namespace leasehold
