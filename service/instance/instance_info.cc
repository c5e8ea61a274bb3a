#include "service/instance/instance_info.h"

namespace leasehold {

std::string_view PinKindName(PinKind kind) {
  switch (kind) {
    case PinKind::kCall:
      return "call";
    case PinKind::kEchoStream:
      return "echo-stream";
    case PinKind::kJoin:
      return "join";
    case PinKind::kHold:
      return "hold";
    case PinKind::kWorkItem:
      return "work-item";
  }
  return "unknown";
}

}  // namespace leasehold
