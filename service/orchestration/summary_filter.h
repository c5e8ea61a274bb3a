// SummaryFilter: the conditions of a filter on what only the summary of an
// orchestration has: its name, and its tags.
//
// A list may have to look at a hundred thousand summaries to find one: so no
// more of them is decoded than decides, and nothing is kept.
//
// Thread-safety: a value; Matches is safe.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_SUMMARY_FILTER_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_SUMMARY_FILTER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "service/orchestration/wire.h"

namespace leasehold {

// Of one filter.
inline constexpr size_t kFilterTagsMax = 20;

struct SummaryFilter {
  std::string name = {};  // Empty: any.
  // Each is KEY, with any value, or KEY=VALUE. All of them.
  std::vector<std::string> tags = {};

  bool empty() const { return name.empty() && tags.empty(); }
  // Whether an encoded Summary matches. One that cannot be read does not.
  bool Matches(std::string_view summary) const;
};

// A key may have an equals sign in it: then KEY alone is meant, too.
bool HasTag(const StringMap& tags, std::string_view tag);

// InvalidArgument: one of the tags is empty, or there are more than
// kFilterTagsMax. The message begins with `field`.
absl::Status CheckFilterTags(std::string_view field,
                             const std::vector<std::string>& tags);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_SUMMARY_FILTER_H_
