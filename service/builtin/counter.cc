#include "service/builtin/counter.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "client/worker/payload.h"
#include "lease/base/json.h"
#include "lease/base/utf8.h"

namespace leasehold::builtin {
namespace {

// Logs each ignored event: there is no caller to tell.
void PassOver(worker::OrchestrationContext& context, std::string_view event) {
  context.Log(absl::StrCat(
      "Counter \"", context.instance_id(), "\": ignored ", std::string(event),
      R"(; an operation is "incr", "decr", "reset", "end" or {"add": n})"));
}

// A short form of an operation.
std::string Brief(const nlohmann::json& operation) {
  constexpr size_t kShownBytes = 100;
  const std::string text = client::WriteJson(operation);
  return std::string(Utf8Front(text, kShownBytes));
}

}  // namespace

std::optional<int64_t> Apply(const nlohmann::json& operation, int64_t value) {
  int64_t add = 0;
  if (operation == "incr") {
    add = 1;
  } else if (operation == "decr") {
    add = -1;
  } else if (operation == "reset") {
    return 0;
  } else if (operation.is_object() && operation.size() == 1 &&
             operation.contains("add") &&
             operation["add"].is_number_integer() &&
             !(operation["add"].is_number_unsigned() &&
               operation["add"].get<uint64_t>() > INT64_MAX)) {
    add = operation["add"].get<int64_t>();
  } else {
    return std::nullopt;
  }
  int64_t sum = 0;
  if (__builtin_add_overflow(value, add, &sum)) return std::nullopt;
  return sum;
}

worker::Task<int64_t> Counter(worker::OrchestrationContext& context,
                              std::optional<int64_t> value) {
  int64_t now = value.value_or(0);
  context.SetCustomStatus(now);
  for (int i = 0; i < kOperationsOfARun; ++i) {
    nlohmann::json operation;
    try {
      operation = co_await context.WaitForEvent<nlohmann::json>("operation");
    } catch (const worker::PayloadError& error) {
      // A bad event must not end a counter that others use.
      PassOver(context, error.what());
      continue;
    }
    if (operation == "end") co_return now;
    const std::optional<int64_t> next = Apply(operation, now);
    if (!next.has_value()) {
      PassOver(context, Brief(operation));
      continue;
    }
    now = *next;
    context.SetCustomStatus(now);
  }
  context.ContinueAsNew(now);
  co_return now;
}

}  // namespace leasehold::builtin
