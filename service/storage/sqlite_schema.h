// The tables of a SqliteStore, and the migrations that create them.
//
// README.md shows them with an example. The schema has a version, which the
// file records; a migration takes a file from one version to the next, and all
// pending ones run in one transaction.
//
// Thread-safety: safe, except for the connection.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_SCHEMA_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_SCHEMA_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "service/base/hash.h"
#include "service/storage/sqlite_connection.h"

namespace leasehold {

// Identifies our files in SQLite's file header: "LEAS".
inline constexpr int32_t kSqliteApplicationId = 0x4c454153;

// The statements of migration i take a file from version i to i + 1; version 0
// is an empty file. Only append to this list: files of every version exist.
absl::Span<const std::string_view> SqliteMigrations();

// The version of an open file; 0 if it is empty.
//   FailedPrecondition: it belongs to another program, or has a version beyond
//     the last of `migrations`.
//   DataLoss, Unavailable: as Store::Open.
absl::StatusOr<int64_t> SqliteVersion(
    SqliteConnection& connection,
    absl::Span<const std::string_view> migrations);

// Brings an open file to the version after the last of `migrations`; all of
// them run, or none. Errors as SqliteVersion.
absl::Status MigrateSqlite(SqliteConnection& connection,
                           absl::Span<const std::string_view> migrations);

// The hash of a key (KeyHash), as the indexes over keys contain it: SQLite's
// numbers are signed. A request's hash is that of its tenant and name. Two keys
// may have the same hash: the row decides.
inline int64_t SqliteKeyHash(std::string_view tenant, std::string_view id) {
  return static_cast<int64_t>(KeyHash(tenant, id));
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_SCHEMA_H_
