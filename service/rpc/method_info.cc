#include "service/rpc/method_info.h"

namespace leasehold {

std::string_view NameOf(CallClass call_class) {
  switch (call_class) {
    case CallClass::kEssential:
      return "essential";
    case CallClass::kCall:
      return "call";
    case CallClass::kEvent:
      return "event";
    case CallClass::kStart:
      return "start";
    case CallClass::kRead:
      return "read";
  }
  return "";
}

std::string_view NameOf(Lasting lasting) {
  switch (lasting) {
    case Lasting::kNo:
      return "";
    case Lasting::kStream:
      return "stream";
    case Lasting::kWait:
      return "wait";
    case Lasting::kWatch:
      return "watch";
    case Lasting::kWorker:
      return "worker";
  }
  return "";
}

}  // namespace leasehold
