// SqliteEntityWriter, SqliteEntityReader: the entities in a SqliteStore's file.
//
// Parts of SqliteWriter and SqliteReader: they use their connections, and what
// is said there holds here.
//
// Thread-safety: one thread at a time.   Lifetime: the connection and the clock
// outlive them.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_ENTITIES_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_ENTITIES_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lease/clock.h"
#include "service/storage/records.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/sqlite_tenants.h"

namespace leasehold {

class SqliteEntityWriter {
 public:
  // The numbers of rows, for the ledger.
  struct Counts {
    int64_t entities = 0;
    int64_t awake = 0;
    int64_t operations = 0;
  };

  SqliteEntityWriter(SqliteConnection& connection, SqliteTenantWriter& tenants);

  const Counts& counts() const { return counts_; }
  void set_counts(const Counts& counts) { counts_ = counts; }

  absl::Status Apply(const PutEntity& change);
  absl::Status Apply(const TouchEntity& change);
  absl::Status Apply(const EraseEntity& change);
  absl::Status Apply(const PutOperation& change);
  absl::Status Apply(const DropOperation& change);
  absl::Status Apply(const EraseTenant& change);

 private:
  // The number of an entity; nullopt: it has no row.
  absl::StatusOr<std::optional<RunNumber>> NumberOf(std::string_view tenant,
                                                    std::string_view id);
  // Before the row changes from one number to another. nullopt: there is none.
  absl::Status ChangeNumber(std::optional<RunNumber> before,
                            std::optional<RunNumber> after);
  // The entity's rows have so many bytes more, beside what is gone of them.
  void Count(const EntityRow& row, int64_t bytes);
  absl::Status Insert(const EntityRow& row);
  // Erases the row of one that is asleep and has no state.
  absl::Status EraseIfEmpty(const EntityRow& row);

  SqliteTenantWriter& tenants_;
  Counts counts_;  // As they will be after the commit in progress.
  SqliteStatement number_;
  SqliteStatement insert_;
  SqliteStatement update_;
  SqliteStatement touch_;
  SqliteStatement erase_;
  SqliteStatement erase_empty_;
  SqliteStatement put_operation_;
  SqliteStatement replace_operation_;
  SqliteStatement drop_operation_;
  SqliteStatement erase_operations_;
  SqliteStatement awake_of_tenant_;
  SqliteStatement erase_tenant_;
};

class SqliteEntityReader {
 public:
  SqliteEntityReader(SqliteConnection& connection, const Clock& clock);

  // Like those of Store.
  absl::Status ReadAwake(PartitionId partition,
                         absl::FunctionRef<void(AwakeEntity entity)> each);
  absl::StatusOr<std::optional<EntityRow>> Find(std::string_view tenant,
                                                std::string_view id);
  absl::StatusOr<EntityPage> Query(const EntityQuery& query);

 private:
  SqliteConnection& connection_;
  const Clock& clock_;
  SqliteStatement ledger_;
  SqliteStatement awake_;
  SqliteStatement operations_;
  SqliteStatement find_;
  SqliteStatement after_;
  SqliteStatement whole_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_ENTITIES_H_
