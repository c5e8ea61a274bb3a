// Payload: an input, a result, an event's data or a status, as JSON text.
//
// Inputs and results of C++ types are converted by nlohmann::json: numbers,
// strings, containers, nlohmann::json itself, and your own types if they have
// to_json and from_json (NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE writes both). A
// std::optional is its value or null. An absent payload, and an empty one,
// which some SDKs send for it, reads as null.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_WORKER_PAYLOAD_H_
#define LEASEHOLD_CLIENT_WORKER_PAYLOAD_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

namespace leasehold::worker {

// Absent, or JSON text.
using Payload = std::optional<std::string>;

// A payload that is no JSON, or no value of the type that is wanted; or a value
// that has no JSON, as a string that is not UTF-8.
class PayloadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace internal {

template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

// At most so much of a payload is quoted in an error.
inline constexpr size_t kQuotedBytes = 64;

}  // namespace internal

// PayloadError: it has no JSON.
template <typename T>
Payload ToPayload(const T& value) {
  if constexpr (internal::kIsOptional<T>) {
    return value.has_value() ? ToPayload(*value) : Payload("null");
  } else {
    try {
      return nlohmann::json(value).dump();
    } catch (const nlohmann::json::exception& error) {
      throw PayloadError(error.what());
    }
  }
}

// PayloadError: it is no JSON, or no T.
template <typename T>
T FromPayload(const Payload& payload) {
  const bool absent = !payload.has_value() || payload->empty();
  try {
    if constexpr (internal::kIsOptional<T>) {
      if (absent || *payload == "null") return std::nullopt;
      return FromPayload<typename T::value_type>(payload);
    } else {
      return (absent ? nlohmann::json() : nlohmann::json::parse(*payload))
          .template get<T>();
    }
  } catch (const nlohmann::json::exception& error) {
    throw PayloadError(
        (absent ? "no payload"
                : payload->substr(0, internal::kQuotedBytes) +
                      (payload->size() > internal::kQuotedBytes ? "…" : "")) +
        ": " + error.what());
  }
}

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_PAYLOAD_H_
