#include "service/orchestration/kept_calls.h"

namespace leasehold {

std::vector<CallMark> KeptCalls::Add(CallMark mark) {
  const StoredTime now = mark.ended;
  const Name name(mark.tenant, mark.request);
  if (const auto found = orders_.find(name); found != orders_.end()) {
    Take(marks_.find(found->second));
  }
  bytes_ += mark.bytes;
  orders_[name] = ++last_order_;
  marks_[last_order_] = std::move(mark);
  std::vector<CallMark> dropped;
  while (marks_.size() > 1 &&
         (marks_.size() > limits_.count_max || bytes_ > limits_.bytes_max ||
          IsTooOld(marks_.begin()->second.ended, now))) {
    dropped.push_back(Take(marks_.begin()));
  }
  return dropped;
}

CallMark KeptCalls::Take(std::map<int64_t, CallMark>::iterator it) {
  CallMark mark = std::move(it->second);
  marks_.erase(it);
  orders_.erase({mark.tenant, mark.request});
  bytes_ -= mark.bytes;
  return mark;
}

void KeptCalls::Forget(std::string_view tenant) {
  for (auto it = marks_.begin(); it != marks_.end();) {
    const auto mark = it++;
    if (mark->second.tenant == tenant) Take(mark);
  }
}

void KeptCalls::Clear() {
  marks_.clear();
  orders_.clear();
  bytes_ = 0;
}

}  // namespace leasehold
