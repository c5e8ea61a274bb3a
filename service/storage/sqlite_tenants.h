// SqliteTenantWriter: what each tenant's rows take in a SqliteStore's file,
// counted in the commits that change them.
//
// A part of SqliteWriter: it uses its connection, and what is said there holds
// here. Whoever adds a row says how large it is. Statements that take bytes
// away say so themselves, through the function bytes_gone (Gone): so no row is
// read only to be counted. The sums are written once a commit, by tenant.
//
// A row that is erased and does not have its checksum may not have the size
// that was counted when it was put. Then, in the same commit, all rows are
// counted anew.
//
// Thread-safety: one thread at a time.   Lifetime: the connection outlives it.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_TENANTS_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_TENANTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/storage/records.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/tenant_bytes.h"

namespace leasehold {

// SQL that is true, and counts a row of these columns as gone; `sum`: what its
// checksum covers.
std::string GoneSql(std::string_view columns, std::string_view sum);
// The same, without a look at its checksum: it was read before.
std::string TakenSql(std::string_view columns);
// The same for a part of a row that goes on: the old values of these columns.
std::string ChangedSql(std::string_view columns);

// Statements that erase rows of a table, and count them; the second such as are
// known to be whole.
std::string EraseSql(std::string_view table, std::string_view where,
                     std::string_view columns, std::string_view sum);
std::string TakeSql(std::string_view table, std::string_view where,
                    std::string_view columns);

// A query of (tenant, bytes): what is really there, by tenant.
std::string_view CountTenantsSql();
// Statements that write that down.
std::string RecountTenantsSql();

class SqliteTenantWriter {
 public:
  // The sums as they are in the file.
  explicit SqliteTenantWriter(SqliteConnection& connection);

  // A change has added `bytes` to the rows of a tenant, or of the run or entity
  // with this number, and taken away what its statements said is gone.
  void Count(std::string_view tenant, int64_t bytes);
  absl::Status CountRun(RunNumber number, int64_t bytes);
  absl::Status CountEntity(RunNumber number, int64_t bytes);
  // What is gone was only moved.
  void Forget() {
    if (connection_.TakeGone().damaged) recount_ = true;
  }
  // All rows of a tenant are gone.
  void Clear(std::string_view tenant);

  // Finds out whose run this is, while it still is: it is about to be erased,
  // and counted after that.
  absl::Status LookUpRun(RunNumber number);
  // A number has been given to one of that tenant.
  void NoteRun(RunNumber number, std::string_view tenant) {
    Note(runs_, number, tenant);
  }
  void NoteEntity(RunNumber number, std::string_view tenant) {
    Note(entities_, number, tenant);
  }

  // Whether Write counts anew, as a row was erased that was not whole.
  bool recounts() const { return recount_; }
  // Writes what has changed. The last part of a transaction.
  absl::Status Write();
  // Tells what has changed since the last time, once it is durable.
  void Publish(TenantBytes& bytes);

 private:
  struct Sum {
    int64_t bytes = 0;
    bool to_write = false;
    bool to_publish = false;
  };
  using Tenants = std::map<std::string, Sum, std::less<>>;
  using Tenant = Tenants::value_type;
  // Whose a number is, by its last bits: the latest is known.
  using Owners = std::vector<std::pair<RunNumber, Tenant*>>;

  Tenant& Of(std::string_view tenant);
  void Note(Owners& owners, RunNumber number, std::string_view tenant);
  // nullptr: nobody's.
  absl::StatusOr<Tenant*> OwnerOf(Owners& owners, SqliteStatement& find,
                                  RunNumber number);
  absl::Status CountFor(Owners& owners, SqliteStatement& find, RunNumber number,
                        int64_t bytes);
  void Change(Tenant& tenant, int64_t bytes);
  void Load();
  absl::Status Recount();

  SqliteConnection& connection_;
  Tenants tenants_;  // As they will be after the commit in progress.
  std::vector<Tenant*> changed_;
  bool recount_ = false;
  Owners runs_;
  Owners entities_;
  SqliteStatement owner_of_run_;
  SqliteStatement owner_of_entity_;
  SqliteStatement put_;
  SqliteStatement drop_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_TENANTS_H_
