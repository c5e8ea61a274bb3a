// View: a std::string_view as Abseil takes it.
//
// Debian builds Abseil with a string_view of its own, which is made from a
// std::string, but not from a std::string_view.
//
// Thread-safety: a pure function.   Lifetime: the result views what `text`
// does.
#ifndef LEASEHOLD_LEASE_BASE_VIEW_H_
#define LEASEHOLD_LEASE_BASE_VIEW_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace leasehold {

inline absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_VIEW_H_
