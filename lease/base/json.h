// ParseJson and WriteJson: JSON from outside, with a bound on its depth.
//
// Code that walks through JSON recurses: it writes, copies or compares it, or
// is the from_json of a user's type. An input or an event of a hundred thousand
// `[` would overflow its stack. So these two functions are the only places that
// call nlohmann::json's own `parse` and `dump`, and JSON that is nested deeper
// than kJsonDepthMax is neither built nor written.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_LEASE_BASE_JSON_H_
#define LEASEHOLD_LEASE_BASE_JSON_H_

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace leasehold {

// How deeply arrays and objects may be nested: `[[1]]` is 2 deep.
inline constexpr int kJsonDepthMax = 128;

// The JSON is nested deeper than kJsonDepthMax.
class JsonDepthError : public std::runtime_error {
 public:
  JsonDepthError();
};

// Throws JsonDepthError, or nlohmann::json::parse_error: it is not valid JSON.
nlohmann::json ParseJson(std::string_view text);

// Throws JsonDepthError. Bytes that are not UTF-8 are written as U+FFFD.
std::string WriteJson(const nlohmann::json& value);

// The names of the time when this was the client's alone.
namespace client {
using leasehold::JsonDepthError;
using leasehold::kJsonDepthMax;
using leasehold::ParseJson;
using leasehold::WriteJson;
}  // namespace client

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_JSON_H_
