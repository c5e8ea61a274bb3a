// The whole contents of a store, as one value that can be compared and printed.
//
// Thread-safety: one thread.   Lifetime: nothing is kept.
#ifndef LEASEHOLD_TESTS_STORAGE_STORE_DUMP_H_
#define LEASEHOLD_TESTS_STORAGE_STORE_DUMP_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "service/storage/store.h"

namespace leasehold {

// Reads everything that any method of the store returns, for these tenants, and
// for the settings and requests of these names. One line per row.
//   Internal: the methods contradict each other.
//   Other codes: as returned by a method.
absl::StatusOr<std::vector<std::string>> Dump(
    Store& store, const std::vector<std::string>& tenants,
    const std::vector<std::string>& names);

// All pages of a query.
absl::StatusOr<std::vector<RunRow>> AllRows(Store& store, RowQuery query);
absl::StatusOr<RowCounts> CountAll(Store& store, RowQuery query);
absl::StatusOr<std::vector<RunRow>> AllFinished(Store& store,
                                                FinishedQuery query);

absl::StatusOr<std::vector<EntityRow>> AllEntities(Store& store,
                                                   EntityQuery query);

// The lines that Dump prints for these.
std::string Line(const RunRow& row);
std::string Line(const MessageRow& row);
std::string Line(const TimerRow& row);
std::string Line(const TaskRow& row);
std::string Line(const RequestRow& row);
std::string Line(const OutboxRow& row);
std::string Line(const EntityRow& row);
std::string Line(const OperationRow& row);
std::string Line(const CallRow& row);
std::string HistoryLine(RunNumber number, std::string_view events);
std::string SettingLine(std::string_view name, std::string_view value);

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_STORAGE_STORE_DUMP_H_
