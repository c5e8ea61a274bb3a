#include "service/orchestration/summary_filter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

// Of Summary::Visit, which writes them in this order.
constexpr int kNameField = 1;
constexpr int kTagsField = 7;

}  // namespace

bool HasTag(const StringMap& tags, std::string_view tag) {
  return std::any_of(tags.begin(), tags.end(), [tag](const auto& one) {
    const auto& [key, value] = one;
    if (tag == key) return true;
    return tag.size() == key.size() + 1 + value.size() &&
           tag.starts_with(key) && tag[key.size()] == '=' &&
           tag.ends_with(value);
  });
}

bool SummaryFilter::Matches(std::string_view summary) const {
  bool named = name.empty();
  StringMap found;
  WireReader reader(summary);
  while (reader.Next()) {
    if (reader.field() == kNameField && !name.empty()) {
      named = reader.bytes() == name;
      if (!named) return false;
      if (tags.empty()) return true;
    } else if (reader.field() == kTagsField && !tags.empty()) {
      if (!reader.Read(found)) return false;
    } else if (reader.field() > kTagsField) {
      break;
    }
  }
  return named && reader.ok() &&
         std::all_of(tags.begin(), tags.end(), [&](const std::string& tag) {
           return HasTag(found, tag);
         });
}

absl::Status CheckFilterTags(std::string_view field,
                             const std::vector<std::string>& tags) {
  if (tags.size() > kFilterTagsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(View(field), ": ", tags.size(), " tags are more than ",
                     kFilterTagsMax));
  }
  if (std::find(tags.begin(), tags.end(), "") != tags.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        View(field), ": a tag is KEY or KEY=VALUE, and must not be empty"));
  }
  return absl::OkStatus();
}

}  // namespace leasehold
