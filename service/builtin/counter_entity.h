// CounterEntity: a number under an ID such as `@counter@visits`, and operations
// on it.
//
//   add n (or nothing: 1)   adds; answers with the new value
//   get                     answers with the value; 0 if there is none
//   reset n (or nothing: 0) sets it; answers with the new value
//   delete                  takes the number away
//
// A sum that does not fit into 64 bits, or an input that is not a whole number,
// fails the operation and changes nothing.
//
// Thread-safety: a value; each operation has one of its own.
#ifndef LEASEHOLD_SERVICE_BUILTIN_COUNTER_ENTITY_H_
#define LEASEHOLD_SERVICE_BUILTIN_COUNTER_ENTITY_H_

#include <cstdint>
#include <stdexcept>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/worker/entity_class.h"
#include "nlohmann/json.hpp"

namespace leasehold::builtin {

class CounterEntity {
 public:
  // `amount`, `value`: null, or a whole number.
  absl::StatusOr<int64_t> Add(const nlohmann::json& amount);
  int64_t Get() const { return value_; }
  absl::StatusOr<int64_t> Reset(const nlohmann::json& value);

  // The state is the number alone; from_json throws if it is another one.
  friend void to_json(nlohmann::json& json, const CounterEntity& counter) {
    json = counter.value_;
  }
  friend void from_json(const nlohmann::json& json, CounterEntity& counter) {
    if (!json.is_number_integer()) {
      throw std::invalid_argument("the state is not a whole number");
    }
    counter.value_ = json.get<int64_t>();
  }

 private:
  int64_t value_ = 0;
};

bool IsCounterOperation(std::string_view name);

// What a worker registers.
worker::EntityClass<CounterEntity> CounterEntityClass();

}  // namespace leasehold::builtin

#endif  // LEASEHOLD_SERVICE_BUILTIN_COUNTER_ENTITY_H_
