#include "service/http/http_call.h"

namespace leasehold {

HttpCall::~HttpCall() {
  {
    MutexLock lock(mu_);
    if (!answer_) return;
  }
  Finish(ErrorResponse(absl::InternalError("the server gave no answer")));
}

void HttpCall::Finish(HttpResponse response) {
  Answer answer;
  std::function<void()> unused;  // What it holds ends without the lock.
  {
    MutexLock lock(mu_);
    answer.swap(answer_);
    unused.swap(on_gone_);
  }
  if (answer) answer(std::move(response));
}

void HttpCall::OnGone(std::function<void()> hook) {
  {
    MutexLock lock(mu_);
    if (!gone_) {
      // Once it is answered nobody calls it, and it must not hold this call.
      if (answer_) on_gone_.swap(hook);
      return;
    }
  }
  hook();
}

void HttpCall::SetGone() {
  Answer unused;
  std::function<void()> hook;
  {
    MutexLock lock(mu_);
    gone_ = gone_ || answer_ != nullptr;
    unused.swap(answer_);
    hook.swap(on_gone_);
  }
  if (hook) hook();
}

}  // namespace leasehold
