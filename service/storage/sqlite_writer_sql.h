// The statements of SqliteWriter that are made of parts.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_STORAGE_SQLITE_WRITER_SQL_H_
#define LEASEHOLD_SERVICE_STORAGE_SQLITE_WRITER_SQL_H_

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lease/base/view.h"
#include "service/storage/sqlite_run_counts.h"
#include "service/storage/sqlite_tenants.h"

namespace leasehold {

// Puts a part of an open instance.
inline std::string PutSql(absl::string_view table, absl::string_view values) {
  return absl::StrCat("INSERT INTO ", table, " SELECT ", values, ",row_sum(",
                      values,
                      ") WHERE EXISTS (SELECT 1 FROM instance"
                      " WHERE number=?1 AND finished IS NULL)"
                      " ON CONFLICT DO NOTHING");
}

// Changes a part of an open instance: `set` in place of `columns`.
inline std::string ReplaceSql(std::string_view table, std::string_view set,
                              std::string_view columns) {
  return absl::StrCat("UPDATE ", View(table), " SET ", View(set),
                      " WHERE number=?1 AND sequence=?2"
                      " AND iif(EXISTS (SELECT 1 FROM instance"
                      " WHERE number=?1 AND finished IS NULL),",
                      ChangedSql(columns), ",0)");
}

// Erases requests by a hash, a tenant and another column.
inline std::string EraseRequestSql(std::string_view hash,
                                   std::string_view column) {
  return absl::StrCat(
      "DELETE FROM request WHERE ", View(hash), "=?1 AND iif(tenant=?2 AND ",
      View(column), "=?3,",
      GoneSql("tenant,request,id,receipt",
              "request_hash,key_hash,tenant,request,id,receipt"),
      ",0)");
}

inline constexpr char kRunTexts[] = "tenant,id,summary";
inline constexpr char kRunSum[] =
    "number,key_hash,status,created,finished,tenant,id,summary";

// Changes an instance, whatever it is.
inline constexpr char kUpdateSql[] =
    "UPDATE instance SET status=?2, summary=?3, finished=?4,"
    " sum=row_sum(number,key_hash,?2,created,?4,tenant,id,?3)"
    " WHERE number=?1 AND ";

// Conditions that are true, and count an instance as changed, or gone.
inline std::string CountedUpdateSql() {
  return absl::StrCat(ChangedSql("summary"), " AND ", MovedSql("?2"));
}
inline std::string CountedEraseSql() {
  return absl::StrCat(GoneSql(kRunTexts, kRunSum), " AND ",
                      MovedSql(kNoStatus));
}
// `condition`, if the instance is open; else it is not even looked at.
inline std::string IfOpen(const std::string& condition) {
  return absl::StrCat("iif(finished IS NULL,", condition, ",0)");
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_SQLITE_WRITER_SQL_H_
