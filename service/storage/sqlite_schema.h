// The tables of a SqliteStore, and how a file gets to have them.
//
// README.md shows them with an example. The schema has a version, which the
// file keeps; a migration takes a file from one version to the next, and all
// that are due run in one transaction.
//
// Thread-safety: safe, but for the connection.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_SCHEMA_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_SCHEMA_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "service/storage/sqlite_connection.h"

namespace leasehold {

// Says "this is a file of ours" in the file's header: "LEAS".
inline constexpr int32_t kSqliteApplicationId = 0x4c454153;

// The statements of migration i take a file from version i to i + 1; version 0
// is an empty file. Only ever appended to: there are files of every version.
absl::Span<const std::string_view> SqliteMigrations();

// The version of an open file; 0: it is empty.
//   FailedPrecondition: it is of another program, or of a version that
//     `migrations` do not reach.
//   DataLoss, Unavailable: as Store::Open.
absl::StatusOr<int64_t> SqliteVersion(
    SqliteConnection& connection,
    absl::Span<const std::string_view> migrations);

// Brings an open file to the version that the last of `migrations` makes; all
// of them are done, or none. Else as SqliteVersion.
absl::Status MigrateSqlite(SqliteConnection& connection,
                           absl::Span<const std::string_view> migrations);

// The hash of a key that the indexes over keys hold; a request has that of its
// tenant and name. It is a part of the schema: FNV-1a of the tenant's length (8
// bytes, low ones first), the tenant and the ID, then mixed (the finaliser of
// MurmurHash3), as a signed number. Two keys may have the same hash: the row
// decides.
int64_t SqliteKeyHash(std::string_view tenant, std::string_view id);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_SCHEMA_H_
