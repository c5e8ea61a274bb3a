#include "service/builtin/counter_entity.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/worker/entity_id.h"
#include "lease/base/json.h"
#include "lease/base/utf8.h"

namespace leasehold::builtin {
namespace {

// A whole number of 64 bits, or `absent` if there is no input.
absl::StatusOr<int64_t> ReadNumber(const nlohmann::json& input,
                                   int64_t absent) {
  if (input.is_null()) return absent;
  const bool fits = input.is_number_integer() &&
                    !(input.is_number_unsigned() &&
                      input.get<uint64_t>() > uint64_t{INT64_MAX});
  if (fits) return input.get<int64_t>();
  constexpr size_t kShownBytes = 100;
  const std::string text = client::WriteJson(input);
  return absl::InvalidArgumentError(
      absl::StrCat("the input is ", std::string(Utf8Front(text, kShownBytes)),
                   "; it must be a whole number of 64 bits, or absent"));
}

}  // namespace

absl::StatusOr<int64_t> CounterEntity::Add(const nlohmann::json& amount) {
  const absl::StatusOr<int64_t> number = ReadNumber(amount, 1);
  if (!number.ok()) return number.status();
  int64_t sum = 0;
  if (__builtin_add_overflow(value_, *number, &sum)) {
    return absl::OutOfRangeError(
        absl::StrCat("the counter is at ", value_, "; with ", *number,
                     " more it would not fit into 64 bits"));
  }
  return value_ = sum;
}

absl::StatusOr<int64_t> CounterEntity::Reset(const nlohmann::json& value) {
  const absl::StatusOr<int64_t> number = ReadNumber(value, 0);
  if (!number.ok()) return number.status();
  return value_ = *number;
}

bool IsCounterOperation(std::string_view name) {
  constexpr std::string_view kNames[] = {"add", "get", "reset", "delete"};
  return std::find(std::begin(kNames), std::end(kNames),
                   worker::internal::LowerCase(name)) != std::end(kNames);
}

worker::EntityClass<CounterEntity> CounterEntityClass() {
  return worker::EntityClass<CounterEntity>()
      .Operation("add", &CounterEntity::Add)
      .Operation("get", &CounterEntity::Get)
      .Operation("reset", &CounterEntity::Reset);
}

}  // namespace leasehold::builtin
