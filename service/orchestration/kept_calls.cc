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
  Share& share = shares_[mark.tenant];
  share.orders.insert(last_order_);
  share.bytes += mark.bytes;
  marks_[last_order_] = std::move(mark);
  std::vector<CallMark> dropped;
  while (marks_.size() > 1) {
    if (IsTooOld(marks_.begin()->second.ended, now)) {
      dropped.push_back(Take(marks_.begin()));
    } else if (bytes_ > limits_.bytes_max) {
      dropped.push_back(Take(OldestOfMost(/*bytes=*/true)));
    } else if (marks_.size() > limits_.count_max) {
      dropped.push_back(Take(OldestOfMost(/*bytes=*/false)));
    } else {
      break;
    }
  }
  return dropped;
}

std::map<int64_t, CallMark>::iterator KeptCalls::OldestOfMost(bool bytes) {
  const Share* most = nullptr;
  for (const auto& [tenant, share] : shares_) {
    if (*share.orders.begin() == last_order_) continue;  // It has no other.
    const bool more =
        most == nullptr || (bytes ? share.bytes > most->bytes
                                  : share.orders.size() > most->orders.size());
    if (more) most = &share;
  }
  return marks_.find(*most->orders.begin());
}

CallMark KeptCalls::Take(std::map<int64_t, CallMark>::iterator it) {
  const int64_t order = it->first;
  CallMark mark = std::move(it->second);
  marks_.erase(it);
  orders_.erase({mark.tenant, mark.request});
  bytes_ -= mark.bytes;
  const auto share = shares_.find(mark.tenant);
  share->second.orders.erase(order);
  share->second.bytes -= mark.bytes;
  if (share->second.orders.empty()) shares_.erase(share);
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
  shares_.clear();
  bytes_ = 0;
}

}  // namespace leasehold
