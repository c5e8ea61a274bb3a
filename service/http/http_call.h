// HttpCall: one request that is being answered. HttpHandler: who answers it.
//
//   void Status(std::shared_ptr<HttpCall> call) {
//     const auto wait = engine.Wait(..., [call](auto info) {
//       call->Finish(JsonResponse(200, ...));
//     });
//     call->OnGone([=] { engine.CancelWait(wait); });
//   }
//
// A handler runs on the listener's thread and must not block: it keeps the call
// and answers it later, from any thread. A call that is dropped without an
// answer is answered with 500.
//
// Thread-safety: safe; the request does not change.   Lifetime: shared by the
// handler and what it waits for; it may outlive the listener, and its answer
// then goes nowhere.
#ifndef LEASEHOLD_SERVICE_HTTP_HTTP_CALL_H_
#define LEASEHOLD_SERVICE_HTTP_HTTP_CALL_H_

#include <functional>
#include <memory>
#include <utility>

#include "lease/base/mutex.h"
#include "service/http/http_message.h"

namespace leasehold {

class HttpCall {
 public:
  // Takes the answer, on any thread; called once.
  using Answer = std::function<void(HttpResponse)>;

  HttpCall(HttpRequest request, Answer answer)
      : request_(std::move(request)), answer_(std::move(answer)) {}
  ~HttpCall();
  HttpCall(const HttpCall&) = delete;
  HttpCall& operator=(const HttpCall&) = delete;

  const HttpRequest& request() const { return request_; }

  // Answers it. Only the first answer counts, and none once the client has
  // gone.
  void Finish(HttpResponse response) ABSL_LOCKS_EXCLUDED(mu_);
  // The same with an error.
  void Fail(const absl::Status& status, const ErrorDetails& details = {}) {
    Finish(ErrorResponse(status, details));
  }

  // Has `hook` called once if the client goes away before the answer, or the
  // server ends; at once if it already has. In place of any hook before it.
  void OnGone(std::function<void()> hook) ABSL_LOCKS_EXCLUDED(mu_);
  // Nobody waits for the answer any more. Idempotent.
  void SetGone() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const HttpRequest request_;

  Mutex mu_;
  Answer answer_ ABSL_GUARDED_BY(mu_);  // Empty: it is answered, or gone.
  std::function<void()> on_gone_ ABSL_GUARDED_BY(mu_);
  bool gone_ ABSL_GUARDED_BY(mu_) = false;
};

using HttpCallPtr = std::shared_ptr<HttpCall>;
using HttpHandler = std::function<void(HttpCallPtr)>;

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_HTTP_CALL_H_
