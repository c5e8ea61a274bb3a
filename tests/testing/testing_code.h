// What the tests of the kit have in common: orchestrators, and its errors.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_TESTS_TESTING_TESTING_CODE_H_
#define LEASEHOLD_TESTS_TESTING_TESTING_CODE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/testing/test_error.h"
#include "client/worker/orchestration_context.h"
#include "client/worker/when.h"

namespace leasehold::testkit {

using worker::OrchestrationContext;
using worker::RetryPolicy;
using worker::Task;

// The message of the TestError that `code` throws.
template <typename Code>
std::string ErrorOf(Code code) {
  try {
    code();
  } catch (const TestError& error) {
    return error.what();
  }
  return "no error";
}

// Calls the activity "Step" with each number up to `count`, one after the
// other.
inline Task<std::string> Chain(OrchestrationContext& context, int count) {
  std::string all;
  for (int i = 1; i <= count; ++i) {
    all += co_await context.CallActivity<std::string>("Step", i);
  }
  co_return all;
}

// The same all at once; the results in the order in which they came.
inline Task<std::string> Race(OrchestrationContext& context, int count) {
  std::vector<Task<std::string>> steps;
  for (int i = 1; i <= count; ++i) {
    steps.push_back(context.CallActivity<std::string>("Step", i));
  }
  std::string all;
  while (!steps.empty()) {
    const size_t first = co_await worker::WhenAny(steps);
    all += co_await std::move(steps[first]);
    steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(first));
  }
  co_return all;
}

// Waits for the event "approved" for `hours`.
inline Task<std::string> Approval(OrchestrationContext& context, int hours) {
  context.SetCustomStatus("asked");
  const std::optional<bool> approved =
      co_await context.WaitForEvent<bool>("approved", absl::Hours(hours));
  if (!approved.has_value()) co_return "nobody answered";
  co_return *approved ? "approved" : "refused";
}

// Waits for the event "go" for ever.
inline Task<void> Waiting(OrchestrationContext& context) {
  co_await context.WaitForEvent<void>("go");
}

// Has a sub-orchestration "Child" with the ID "the-child".
inline Task<std::string> Parent(OrchestrationContext& context) {
  const auto options = worker::SubOrchestrationOptions().Id("the-child");
  co_return co_await context.CallSubOrchestrator<std::string>("Child", 7,
                                                              options);
}

// Counts days, and never ends.
inline Task<int> Calendar(OrchestrationContext& context, int day) {
  context.SetCustomStatus(day);
  co_await context.CreateTimer(absl::Hours(24));
  const int next = day + 1;
  context.ContinueAsNew(next);
  co_return day;
}

// Continues as new without ever waiting.
inline Task<int> Spin(OrchestrationContext& context, int turn) {
  const int next = turn + 1;
  context.ContinueAsNew(next);
  co_return turn;
}

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_TESTS_TESTING_TESTING_CODE_H_
