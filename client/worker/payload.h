// Payload: an input, a result, an event's data or a status, as JSON text.
//
// Inputs and results of C++ types are converted by nlohmann::json: numbers,
// strings, containers, nlohmann::json itself, and your own types if they have
// to_json and from_json (NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE writes both). A
// std::optional is its value or null. An absent payload, and an empty one,
// which some SDKs send for it, reads as null. JSON is nested at most
// client::kJsonDepthMax deep, whoever wrote it (lease/base/json.h).
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_WORKER_PAYLOAD_H_
#define LEASEHOLD_CLIENT_WORKER_PAYLOAD_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "lease/base/json.h"
#include "lease/base/utf8.h"

namespace leasehold::worker {

// Absent, or JSON text.
using Payload = std::optional<std::string>;

// A payload that is not valid JSON, is nested too deeply, or is not of the
// expected type; or a value that is nested too deeply to be written.
class PayloadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace internal {

template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

// The beginning of an error about `payload`: a short form of it.
inline std::string Quoted(const Payload& payload) {
  constexpr size_t kQuotedBytes = 64;
  if (!payload.has_value() || payload->empty()) return "no payload: ";
  const std::string_view brief = Utf8Front(*payload, kQuotedBytes);
  return std::string(brief) + (brief.size() < payload->size() ? "…: " : ": ");
}

}  // namespace internal

// PayloadError: it is nested too deeply, or its to_json throws one of
// nlohmann's exceptions. Bytes that are not UTF-8 become U+FFFD.
template <typename T>
Payload ToPayload(const T& value) {
  if constexpr (internal::kIsOptional<T>) {
    return value.has_value() ? ToPayload(*value) : Payload("null");
  } else {
    try {
      if constexpr (std::is_same_v<T, nlohmann::json>) {
        return client::WriteJson(value);  // Not a copy, which would recurse.
      } else {
        return client::WriteJson(nlohmann::json(value));
      }
    } catch (const nlohmann::json::exception& error) {
      throw PayloadError(error.what());
    } catch (const client::JsonDepthError& error) {
      throw PayloadError(error.what());
    }
  }
}

// PayloadError: it is not valid JSON, is nested too deeply, or is not a T.
template <typename T>
T FromPayload(const Payload& payload) {
  const bool absent = !payload.has_value() || payload->empty();
  try {
    if constexpr (internal::kIsOptional<T>) {
      if (absent || *payload == "null") return std::nullopt;
      return FromPayload<typename T::value_type>(payload);
    } else {
      return (absent ? nlohmann::json() : client::ParseJson(*payload))
          .template get<T>();
    }
  } catch (const nlohmann::json::exception& error) {
    throw PayloadError(internal::Quoted(payload) + error.what());
  } catch (const client::JsonDepthError& error) {
    throw PayloadError(internal::Quoted(payload) + error.what());
  }
}

}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_PAYLOAD_H_
