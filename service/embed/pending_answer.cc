#include "service/embed/pending_answer.h"

#include <utility>

namespace leasehold::internal {

void PendingCall::Answer(const grpc::Status* status) {
  if (status != nullptr) {
    answer_ = *status;
  } else {
    dropped_ = true;
  }
  Meet(kAnswered);
}

void PendingCall::Returned(const grpc::Status* thrown) {
  if (thrown != nullptr) {
    threw_ = true;
    thrown_ = *thrown;
  }
  Meet(kReturned);
}

void PendingCall::Meet(unsigned bit) {
  // After this, the other one may end the call at any moment.
  if (met_.fetch_or(bit) == 0) return;
  if (threw_) return End(thrown_);  // It may have dropped the answer by that.
  End(dropped_ ? Dropped() : grpc::Status(answer_));
}

bool PendingCall::KeepOnCancelled(std::function<void()>& told) {
  MutexLock lock(mu_);
  if (cancelled_) return false;
  on_cancelled_.swap(told);  // The caller destroys an earlier one.
  return true;
}

void PendingCall::TellCancelled() {
  std::function<void()> told;
  {
    MutexLock lock(mu_);
    cancelled_ = true;
    told.swap(on_cancelled_);
  }
  if (!told) return;
  try {
    told();
  } catch (...) {
    CancelledThrew();
  }
}

// ---- AnswerHandle

AnswerHandle::~AnswerHandle() {
  if (PendingCall* call = Take()) call->Answer(nullptr);
}

PendingCall* AnswerHandle::Take() {
  MutexLock lock(mu_);
  return std::exchange(call_, nullptr);
}

void AnswerHandle::Answer(const grpc::Status& status) {
  // Without the lock: it may end the call, and run the embedder's code.
  if (PendingCall* call = Take()) call->Answer(&status);
}

bool AnswerHandle::IsCancelled() const {
  MutexLock lock(mu_);
  return call_ != nullptr && call_->IsCancelled();
}

void AnswerHandle::OnCancelled(std::function<void()> told) {
  {
    MutexLock lock(mu_);
    if (call_ == nullptr || call_->KeepOnCancelled(told)) return;
  }
  if (told) told();
}

CallChain AnswerHandle::Chain() const {
  MutexLock lock(mu_);
  return call_ == nullptr ? CallChain() : call_->Chain();
}

}  // namespace leasehold::internal
