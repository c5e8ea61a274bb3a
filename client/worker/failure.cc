#include "client/worker/failure.h"

#include <cxxabi.h>

#include <cstdlib>
#include <typeinfo>

#include "client/worker/payload.h"

namespace leasehold::worker {
namespace {

std::string Demangled(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? name.get() : type.name();
}

TaskFailure Describe(const std::exception_ptr& error, int depth);

// The failure of the exception nested in `error`, if any and not too deep.
std::shared_ptr<const TaskFailure> Nested(const std::exception& error,
                                          int depth) {
  if (depth >= kFailuresNested) return nullptr;
  const auto* const nested = dynamic_cast<const std::nested_exception*>(&error);
  if (nested == nullptr || nested->nested_ptr() == nullptr) return nullptr;
  return std::make_shared<const TaskFailure>(
      Describe(nested->nested_ptr(), depth + 1));
}

// std::throw_with_nested throws a type of its own that wraps the user's.
std::string TypeName(const std::exception& error) {
  static const std::string kWrapped = "std::_Nested_exception<";
  std::string name = Demangled(typeid(error));
  if (name.compare(0, kWrapped.size(), kWrapped) != 0) return name;
  return name.substr(kWrapped.size(), name.size() - kWrapped.size() - 1);
}

TaskFailure Describe(const std::exception_ptr& error, int depth) {
  TaskFailure failure;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& thrown) {
    failure.error_type = TypeName(thrown);
    failure.error_message = thrown.what();
    failure.inner = Nested(thrown, depth);
    if (const auto* status =
            dynamic_cast<const internal::StatusError*>(&thrown)) {
      failure.error_type = absl::StatusCodeToString(status->code());
    } else if (const auto* task =
                   dynamic_cast<const TaskFailedError*>(&thrown)) {
      failure.inner = task->shared_failure();
    }
    failure.is_non_retriable =
        dynamic_cast<const NonRetriableError*>(&thrown) != nullptr ||
        dynamic_cast<const PayloadError*>(&thrown) != nullptr;
  } catch (...) {
    const std::type_info* const type = abi::__cxa_current_exception_type();
    failure.error_type = type == nullptr ? "unknown" : Demangled(*type);
    failure.error_message = "something that is not a std::exception was thrown";
  }
  return failure;
}

}  // namespace

TaskFailure DescribeException(const std::exception_ptr& error) {
  return Describe(error, 1);
}

}  // namespace leasehold::worker
