// The JSON of the Durable Functions HTTP API: its objects, payloads and times.
//
// Payloads are JSON values of users. They are checked, and then copied byte for
// byte into the answer (json_text.h).
//
// Thread-safety: pure functions; a JsonObject belongs to one thread.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_JSON_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_JSON_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "service/orchestration/history.h"
#include "service/orchestration/wire.h"

namespace leasehold {

// Whether it holds nothing but white space.
bool IsBlank(std::string_view text);

// A payload as a JSON value: none is `null`, blank text is `""`, JSON is what
// it is, and any other text is a JSON string.
std::string PayloadJson(const Payload& payload);

// `2026-11-22T00:42:48Z`: whole seconds, cut off.
std::string SecondsJson(absl::Time time);
// `2026-11-22T00:42:48.1234567Z`: what is less than 100 ns is cut off.
std::string TicksJson(const Timestamp& time);

// Appends an object to a text, member by member.
//
//   JsonObject object(out);
//   object.Text("name", name);
//   object.End();
//
// Names are constants of ours without characters that JSON escapes.
// Lifetime: `out` outlives it.
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }

  // A string.
  void Text(std::string_view name, std::string_view text);
  // A value that is JSON already.
  void Json(std::string_view name, std::string_view json);
  // `"name":`; the caller appends the value to the text.
  void Name(std::string_view name);
  void Integer(std::string_view name, int64_t value);
  void End() { out_ += '}'; }

 private:
  std::string& out_;
  bool empty_ = true;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_JSON_H_
