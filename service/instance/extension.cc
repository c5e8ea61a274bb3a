#include "service/instance/extension.h"

#include <cxxabi.h>

#include <cstdlib>
#include <string>

namespace leasehold {

std::string_view DetachReasonName(DetachReason reason) {
  switch (reason) {
    case DetachReason::kIdle:
      return "idle";
    case DetachReason::kReleased:
      return "released";
    case DetachReason::kEvicted:
      return "evicted";
    case DetachReason::kShutdown:
      return "shutdown";
    case DetachReason::kLostOwnership:
      return "lost ownership";
    case DetachReason::kFailedInitializer:
      return "failed initializer";
    case DetachReason::kRemoved:
      return "removed";
  }
  return "unknown";
}

void Extension::OnAttach(InstanceContext&) {}

void Extension::OnDetach(InstanceContext&, DetachReason, HookDone done) {
  done();
}

std::string ExtensionTypeName(const ExtensionType& type) {
  int status = 0;
  char* name =
      abi::__cxa_demangle(type.type->name(), nullptr, nullptr, &status);
  std::string result = status == 0 ? name : type.type->name();
  std::free(name);
  return result;
}

}  // namespace leasehold
