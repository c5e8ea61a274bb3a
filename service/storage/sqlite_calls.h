// SqliteCallWriter, SqliteCallReader: the calls of entities in a SqliteStore's
// file, those that have ended.
//
// Parts of SqliteWriter and SqliteReader: they use their connections, and what
// is said there holds here.
//
// Thread-safety: one thread at a time.   Lifetime: the connection outlives
// them.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_CALLS_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_CALLS_H_

#include <optional>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/storage/records.h"
#include "service/storage/sqlite_connection.h"

namespace leasehold {

class SqliteCallWriter {
 public:
  explicit SqliteCallWriter(SqliteConnection& connection);

  absl::Status Apply(const PutCall& change);
  absl::Status Apply(const DropCall& change);
  absl::Status Apply(const EraseTenant& change);

 private:
  SqliteStatement put_;
  SqliteStatement drop_;
  SqliteStatement erase_tenant_;
};

class SqliteCallReader {
 public:
  explicit SqliteCallReader(SqliteConnection& connection);

  // Like those of Store.
  absl::Status ReadCalls(PartitionId partition,
                         absl::FunctionRef<void(CallMark call)> each);
  absl::StatusOr<std::optional<CallRow>> Find(std::string_view tenant,
                                              std::string_view request);

 private:
  SqliteStatement all_;
  SqliteStatement find_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_CALLS_H_
