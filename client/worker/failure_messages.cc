#include "client/worker/failure_messages.h"

#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lease/base/utf8.h"

namespace leasehold::worker::internal {

namespace {

// An exception's text may contain any bytes; the contract allows only UTF-8.
void Fill(const TaskFailure& failure, TaskFailureDetails& details) {
  details.set_errortype(MakeUtf8(failure.error_type));
  details.set_errormessage(MakeUtf8(failure.error_message));
  if (failure.stack_trace.has_value()) {
    details.mutable_stacktrace()->set_value(MakeUtf8(*failure.stack_trace));
  }
  details.set_isnonretriable(failure.is_non_retriable);
}

}  // namespace

TaskFailureDetails ToProto(const TaskFailure& failure) {
  TaskFailureDetails details;
  TaskFailureDetails* to = &details;
  const TaskFailure* from = &failure;
  Fill(*from, *to);
  for (int i = 1; i < kFailuresNested && from->inner != nullptr; ++i) {
    from = from->inner.get();
    to = to->mutable_innerfailure();
    Fill(*from, *to);
  }
  return details;
}

TaskFailure FromProto(const TaskFailureDetails& details) {
  TaskFailure failure;
  failure.error_type = details.errortype();
  failure.error_message = details.errormessage();
  if (details.has_stacktrace()) {
    failure.stack_trace = details.stacktrace().value();
  }
  failure.is_non_retriable = details.isnonretriable();
  if (details.has_innerfailure()) {
    failure.inner =
        std::make_shared<const TaskFailure>(FromProto(details.innerfailure()));
  }
  return failure;
}

TaskFailureDetails NotFound(const std::string& kind, const std::string& name,
                            const std::vector<std::string>& known) {
  TaskFailureDetails details;
  // As the .NET SDK calls it.
  details.set_errortype(kind + "TaskNotFound");
  details.set_errormessage(absl::StrCat(
      "this worker has no ", absl::AsciiStrToLower(kind), " \"", name, "\", ",
      known.empty()
          ? "and none at all"
          : absl::StrCat("but \"", absl::StrJoin(known, "\", \""), "\"")));
  details.set_isnonretriable(true);
  return details;
}

}  // namespace leasehold::worker::internal
