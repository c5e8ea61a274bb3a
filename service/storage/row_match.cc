#include "service/storage/row_match.h"

#include <algorithm>

namespace leasehold {
namespace {

bool HasStatus(const std::vector<int32_t>& statuses, int32_t status) {
  return statuses.empty() ||
         std::find(statuses.begin(), statuses.end(), status) != statuses.end();
}

}  // namespace

RowView View(const RunRow& row) {
  return {row.tenant, row.id, row.status, row.created, row.finished};
}

bool Matches(const RowQuery& query, const RowView& row) {
  return row.tenant == query.tenant && HasStatus(query.statuses, row.status) &&
         (!query.created_from || row.created >= *query.created_from) &&
         (!query.created_to || row.created <= *query.created_to) &&
         row.id.starts_with(query.id_prefix) &&
         (!query.finished_only || row.finished);
}

bool MatchesSummary(const RowQuery& query, std::string_view summary) {
  return !query.summary || query.summary(summary);
}

bool Matches(const FinishedQuery& query, const RowView& row) {
  return row.finished &&
         (row.tenant == query.tenant || query.tenant == kEveryTenant) &&
         HasStatus(query.statuses, row.status) &&
         (!query.finished_from || *row.finished >= *query.finished_from) &&
         (!query.finished_to || *row.finished < *query.finished_to);
}

bool Matches(const EntityQuery& query, const EntityView& row) {
  return row.tenant == query.tenant && row.id.starts_with(query.id_prefix) &&
         (row.has_state || query.with_stateless) &&
         (!query.modified_from || row.modified >= *query.modified_from) &&
         (!query.modified_to || row.modified < *query.modified_to);
}

}  // namespace leasehold
