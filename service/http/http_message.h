// HttpRequest and HttpResponse: what handlers of the HTTP door read and write.
//
// They are our own types, so that handlers, and what tests them, know nothing
// of the library that speaks the protocol.
//
//   GET /runtime/webhooks/durabletask/instances/a%2Fb?showInput=false
//
//   method    "GET"
//   path      "/runtime/webhooks/durabletask/instances/a%2Fb"
//   segments  "runtime", "webhooks", "durabletask", "instances", "a/b"
//   query     showInput = "false"
//
// Thread-safety: values; callers synchronise.   Lifetime: they own what they
// hold.
#ifndef LEASEHOLD_SERVICE_HTTP_HTTP_MESSAGE_H_
#define LEASEHOLD_SERVICE_HTTP_HTTP_MESSAGE_H_

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/rpc/caller.h"
#include "service/tracing/span.h"

namespace leasehold {

// Names and values in their order; a name may come again. Names are compared
// without regard to the case of ASCII letters.
class HttpFields {
 public:
  using Field = std::pair<std::string, std::string>;

  HttpFields() = default;
  HttpFields(std::initializer_list<Field> fields) : fields_(fields) {}

  void Add(std::string name, std::string value);
  // In place of all of that name.
  void Set(std::string_view name, std::string value);

  // The first value of that name; nullopt: there is none. It is valid until the
  // fields change.
  std::optional<std::string_view> Find(std::string_view name) const;
  // The same, with a value for when there is none.
  std::string_view Get(std::string_view name,
                       std::string_view otherwise = "") const {
    return Find(name).value_or(otherwise);
  }
  // All values of that name.
  std::vector<std::string_view> All(std::string_view name) const;
  bool Has(std::string_view name) const { return Find(name).has_value(); }

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }

 private:
  std::vector<Field> fields_;
};

struct HttpRequest {
  std::string method = "GET";  // As sent: HEAD is served by handlers of GET.
  std::string target = "/";    // As sent: path and query.
  std::string path = "/";      // As sent.
  // Of the path: split at '/', then each percent-decoded once. '+' is a plus.
  // `/a/` has two: "a" and "".
  std::vector<std::string> segments;
  HttpFields params;  // What the `{name}`s of the route stand for, decoded.
  HttpFields query;   // Decoded; here '+' is a space, as forms have it.
  HttpFields headers;
  std::string body;
  std::string peer;  // As gRPC writes it: `ipv4:127.0.0.1:43662`.
  // What URLs for this client begin with, without a slash at the end:
  // `http://127.0.0.1:4002`.
  std::string base_url;
  // Who makes it; never null in a handler.
  std::shared_ptr<const Caller> caller;
  // The session that says so (service/http/session_api.h); empty: something
  // else does.
  std::string session;
  // What it gives on to the work that it begins.
  CallTrace trace = {};
  // For an answer that goes on: whether its caller may still have it, asked
  // anew. On any thread. Empty: he may.
  std::function<bool()> may_still = {};
};

// A body that is made while it is sent, as long as the client reads: the next
// part is asked for when the one before it has been written. So a slow reader
// holds up its own source, and nothing piles up.
//
// It is destroyed once it is no longer needed: it has ended, or the client has
// gone. A `Done` that is still out may be called then, and does nothing.
class HttpBody {
 public:
  // An empty part is the end. An error cuts the connection, so that the client
  // sees that the body is not whole.
  using Done = std::function<void(absl::StatusOr<std::string>)>;

  virtual ~HttpBody() = default;
  // Has `done` called once, on any thread, with the next part. Called on the
  // listener's thread, and must not block. REQUIRES: no other Next is out.
  virtual void Next(Done done) = 0;
};

struct HttpResponse {
  int status = 200;
  // Those that all answers have are added by the listener: Content-Length or
  // Transfer-Encoding, Date, Connection, what protects browsers, and, if it is
  // not here, `Cache-Control: no-store`.
  HttpFields headers = {};
  std::string body = {};
  // Instead of `body`, for what is long or goes on. May be null.
  std::unique_ptr<HttpBody> source = nullptr;
  // For the audit log; kOk stands for what `status` says.
  absl::StatusCode code = absl::StatusCode::kOk;
  // For the audit log: the instance that it is about, if no `{id}` of the route
  // names it.
  std::string instance_id = {};
  // For the audit log: who has shown who he is with this request. Null: as the
  // request says.
  std::shared_ptr<const Caller> caller = nullptr;
};

// An answer without a body.
HttpResponse EmptyResponse(int status);
// An answer whose body is JSON, as text.
HttpResponse JsonResponse(int status, std::string json);

// The HTTP status that says what `status` does: NotFound is 404,
// ResourceExhausted is 429, and so on.
int HttpStatusOf(const absl::Status& status);

// More that an error says, as members of its body.
struct ErrorDetails {
  std::string instance_id = {};     // "instanceId"; empty: is not said.
  std::string runtime_status = {};  // "runtimeStatus"; the same.
};

// The answer to a request that has failed, with the status of HttpStatusOf:
//   {"Message":"...","code":"NOT_FOUND","instanceId":"...",...}
// It carries Retry-After if the status says when to try again
// (service/base/retry_after.h), and WWW-Authenticate with a 401.
HttpResponse ErrorResponse(const absl::Status& status,
                           const ErrorDetails& details = {});
// The same with another HTTP status.
HttpResponse ErrorResponse(int http_status, const absl::Status& status,
                           const ErrorDetails& details = {});

// Whether the body is said to be JSON: `application/json`, with or without
// parameters.
bool IsJson(const HttpRequest& request);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_HTTP_MESSAGE_H_
