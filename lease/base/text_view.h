// TextView: a std::string_view that Abseil takes, too.
//
// Debian 12 builds Abseil with a string_view of its own, which is not made from
// a std::string_view; elsewhere the two are one type. What a public header
// returns as a TextView is given to functions of the standard library and of
// Abseil as it is, with either Abseil:
//
//   absl::StrCat("room ", context.id());
//   rooms.find(context.id());   // An absl::flat_hash_map<std::string, Room>.
//
// Thread-safety: a value.   Lifetime: as of what it views.
#ifndef LEASEHOLD_LEASE_BASE_TEXT_VIEW_H_
#define LEASEHOLD_LEASE_BASE_TEXT_VIEW_H_

#include <concepts>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace leasehold {

class TextView : public std::string_view {
 public:
  using std::string_view::string_view;
  constexpr TextView(
      std::string_view text)  // NOLINT(google-explicit-constructor)
      : std::string_view(text) {}

  // Only where Abseil's string_view is another type than the base. (AlphaNum is
  // what StrCat takes: it would be made from a string_view, but not from what
  // has to be converted to one first.)
  template <typename T>
  requires(!std::same_as<absl::string_view, std::string_view> &&
           (std::same_as<T, absl::string_view> ||
            std::same_as<T, absl::AlphaNum>))
  operator T() const {  // NOLINT(google-explicit-constructor)
    return T(absl::string_view(data(), size()));
  }
};

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_TEXT_VIEW_H_
