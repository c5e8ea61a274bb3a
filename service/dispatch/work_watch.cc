#include "service/dispatch/work_watch.h"

namespace leasehold {

void Watched::Unwatch() {
  if (next_ == nullptr) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  previous_ = nullptr;
  next_ = nullptr;
}

WorkWatch::WorkWatch(WatchTime limit) : limit_(limit) {
  ends_.next_ = &ends_;
  ends_.previous_ = &ends_;
}

WorkWatch::~WorkWatch() {
  while (ends_.next_ != &ends_) ends_.next_->Unwatch();
}

bool WorkWatch::Watch(Watched& what, WatchTime now) {
  if (limit_ <= 0) return false;
  what.Unwatch();
  what.since_ = now;
  what.previous_ = ends_.previous_;
  what.next_ = &ends_;
  ends_.previous_->next_ = &what;
  ends_.previous_ = &what;
  if (next_look_.has_value()) return false;
  next_look_ = now + limit_;
  return true;
}

Watched* WorkWatch::TakeLate(WatchTime now) {
  if (!next_look_.has_value() || *next_look_ > now) return nullptr;
  Watched* first = ends_.next_;
  if (first == &ends_) {
    next_look_.reset();
    return nullptr;
  }
  if (first->since_ + limit_ > now) {
    next_look_ = first->since_ + limit_;
    return nullptr;
  }
  first->Unwatch();
  return first;
}

}  // namespace leasehold
