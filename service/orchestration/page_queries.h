// Between the lists that callers ask for and the store's queries: filters, and
// page tokens where the store has row numbers.
//
// Thread-safety: pure functions; LoadPageTokens belongs to the store's writer.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_PAGE_QUERIES_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_PAGE_QUERIES_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "service/base/page_token.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/entities.h"
#include "service/orchestration/requests.h"
#include "service/storage/store.h"

namespace leasehold {

// The page tokens of a store: it keeps their key, so that they outlive a
// restart. The first time, this makes the key, in the name of `fence`. A
// damaged key is replaced: lists then begin again, and nothing else is lost.
// Blocks.
//   Unavailable: the store cannot be read or written.
absl::StatusOr<PageTokens> LoadPageTokens(Store& store, const Fence& fence);

RowQuery QueryFor(const OrchestrationFilter& filter);

// Of lists: asks for one row more than their page may have, so that a page that
// is just full is known to be the last one. Cut what is found.
//   InvalidArgument: the page token is not one of this list.
absl::StatusOr<RowQuery> QueryFor(const OrchestrationQuery& list,
                                  const PageTokens& tokens);
absl::StatusOr<FinishedQuery> QueryFor(const FinishedIdsQuery& list,
                                       const PageTokens& tokens);

absl::StatusOr<EntityQuery> QueryFor(const EntityListQuery& list,
                                     const PageTokens& tokens);

// Takes the one row more off again; then the next page begins before it.
void Cut(size_t count_max, RowPage& page);
void Cut(size_t count_max, FinishedPage& page);
void Cut(size_t count_max, EntityPage& page);

// Where a page of a history begins.
struct HistoryPosition {
  RunNumber number = 0;
  int64_t chunk = 0;
};

// nullopt: at its beginning.
//   InvalidArgument: the page token is not one of this history.
absl::StatusOr<std::optional<HistoryPosition>> PositionIn(
    const InstanceKey& key, const HistoryQuery& history,
    const PageTokens& tokens);
// The token for the page of the history of `history.execution_id` that begins
// at `next`.
std::string TokenFor(const InstanceKey& key, const HistoryQuery& history,
                     const HistoryPosition& next, const PageTokens& tokens);

// The token for the page of this list that begins after `last`.
std::string TokenFor(const OrchestrationQuery& list, const RowPosition& last,
                     const PageTokens& tokens);
// `last_id`: of the page before, which the Durable Task protocol shows.
std::string TokenFor(const FinishedIdsQuery& list, std::string_view last_id,
                     const FinishedQuery::Position& last,
                     const PageTokens& tokens);

std::string TokenFor(const EntityListQuery& list, const std::string& last,
                     const PageTokens& tokens);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_PAGE_QUERIES_H_
