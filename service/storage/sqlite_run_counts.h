// SqliteRunCounts: how many instances of each tenant have each status in a
// SqliteStore's file, counted in the commits that change them.
//
// A part of SqliteWriter, as SqliteTenantWriter is. Statements that give an
// instance another status, or erase it, say so themselves, through the function
// run_moved (MovedSql): so no row is read only to be counted. What has changed
// is written once a commit.
//
// Thread-safety: one thread at a time.   Lifetime: the connection outlives it.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_RUN_COUNTS_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_RUN_COUNTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "service/storage/run_counts.h"
#include "service/storage/sqlite_connection.h"

namespace leasehold {

// SQL that is true, and counts an instance as one of another status: that of
// the expression `status`; kNoStatus: none, as it is gone.
std::string MovedSql(std::string_view status);
inline constexpr char kNoStatus[] = "NULL";

// A query of (tenant, status, runs): what is really there.
std::string_view CountRunsSql();
// Statements that write that down.
std::string RecountRunsSql();

class SqliteRunCounts {
 public:
  // The counts as they are in the file.
  explicit SqliteRunCounts(SqliteConnection& connection);

  // An instance was put.
  void Add(std::string_view tenant, int32_t status) {
    Change(Of(tenant, status), 1);
  }
  // Writes what has changed, the last part of a transaction. `recount`: a row
  // was erased that may have had another status when it was put.
  absl::Status Write(bool recount);
  // Tells what has changed since the last time, once it is durable.
  void Publish(RunCounts& counts);

 private:
  struct Count {
    int64_t runs = 0;
    bool to_write = false;
    bool to_publish = false;
  };
  struct Key {
    std::string tenant;
    int32_t status;
    auto operator<=>(const Key&) const = default;
  };
  using Counts = std::map<Key, Count>;

  Counts::value_type& Of(std::string_view tenant, int32_t status);
  void Change(Counts::value_type& count, int64_t runs);
  void Load();
  absl::Status Recount();

  SqliteConnection& connection_;
  Counts counts_;  // As they will be after the commit in progress.
  std::vector<Counts::value_type*> changed_;
  bool damaged_ = false;
  SqliteStatement put_;
  SqliteStatement drop_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_RUN_COUNTS_H_
