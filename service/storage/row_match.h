// Whether a row matches a query.
//
// The only place that evaluates the conditions; each store finds candidates in
// its own way. So the position (`after`) and the count are not considered here.
//
// Thread-safety: safe.   Lifetime: a RowView lives as long as what it views.
#ifndef LEASEHOLD_SERVICE_STORAGE_ROW_MATCH_H_
#define LEASEHOLD_SERVICE_STORAGE_ROW_MATCH_H_

#include <optional>
#include <string_view>

#include "service/storage/records.h"

namespace leasehold {

// Stands for all tenants in a FinishedQuery, so that nobody lists all of them
// by leaving the tenant out. Names of tenants are UTF-8, and this is not.
inline constexpr std::string_view kEveryTenant = "\xff";

// The columns of an instance that conditions refer to.
struct RowView {
  std::string_view tenant;
  std::string_view id;
  int32_t status = 0;
  StoredTime created = 0;
  std::optional<StoredTime> finished;
};

RowView View(const RunRow& row);

// All conditions but that on the summary, which is best read last.
bool Matches(const RowQuery& query, const RowView& row);
bool MatchesSummary(const RowQuery& query, std::string_view summary);
bool Matches(const FinishedQuery& query, const RowView& row);

// The columns of an entity that conditions refer to.
struct EntityView {
  std::string_view tenant;
  std::string_view id;
  StoredTime modified = 0;
  bool has_state = false;
};

bool Matches(const EntityQuery& query, const EntityView& row);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_ROW_MATCH_H_
