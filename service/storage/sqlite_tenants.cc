#include "service/storage/sqlite_tenants.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

// How many numbers are known without looking: more than are busy at a time.
constexpr size_t kRunsKnown = 4096;
constexpr size_t kEntitiesKnown = 1024;

// The bytes in these columns.
std::string LengthSql(std::string_view columns) {
  if (columns.empty()) return "0";
  std::vector<std::string> lengths;
  for (const absl::string_view column : absl::StrSplit(View(columns), ',')) {
    lengths.push_back(absl::StrCat("length(", column, ")"));
  }
  return absl::StrJoin(lengths, "+");
}

}  // namespace

std::string GoneSql(std::string_view columns, std::string_view sum) {
  return absl::StrCat("bytes_gone(", kRowBytes, "+", LengthSql(columns),
                      ",sum=row_sum(", View(sum), "))");
}

std::string TakenSql(std::string_view columns) {
  return absl::StrCat("bytes_gone(", kRowBytes, "+", LengthSql(columns), ",1)");
}

std::string ChangedSql(std::string_view columns) {
  return absl::StrCat("bytes_gone(", LengthSql(columns), ",1)");
}

std::string EraseSql(std::string_view table, std::string_view where,
                     std::string_view columns, std::string_view sum) {
  return absl::StrCat("DELETE FROM ", View(table), " WHERE ", View(where),
                      " AND ", GoneSql(columns, sum));
}

std::string TakeSql(std::string_view table, std::string_view where,
                    std::string_view columns) {
  return absl::StrCat("DELETE FROM ", View(table), " WHERE ", View(where),
                      " AND ", TakenSql(columns));
}

std::string_view CountTenantsSql() {
  static_assert(kRowBytes == 64);
  return R"sql(
    SELECT tenant, sum(bytes) AS bytes FROM (
      SELECT tenant, 64+length(tenant)+length(id)+length(summary) AS bytes
        FROM instance NOT INDEXED
      UNION ALL
      SELECT tenant, 64+length(tenant)+length(id)+length(summary)
        FROM replaced NOT INDEXED
      UNION ALL
      SELECT run.tenant, 64+length(events)
        FROM history CROSS JOIN instance AS run USING (number)
      UNION ALL
      SELECT run.tenant, 64+length(events)
        FROM history CROSS JOIN replaced AS run USING (number)
      UNION ALL
      SELECT run.tenant, 64+length(execution)+length(event)
        FROM message CROSS JOIN instance AS run USING (number)
      UNION ALL
      SELECT run.tenant, 64
        FROM timer CROSS JOIN instance AS run USING (number)
      UNION ALL
      SELECT run.tenant, 64+length(task)
        FROM task CROSS JOIN instance AS run USING (number)
      UNION ALL
      SELECT tenant, 64+length(tenant)+length(request)+length(id)
                     +length(receipt)
        FROM request NOT INDEXED
      UNION ALL
      SELECT tenant, 64+length(tenant)+length(id)+length(header)
                     +length(state)
        FROM entity NOT INDEXED
      UNION ALL
      SELECT whose.tenant, 64+length(event)
        FROM operation CROSS JOIN entity AS whose
        ON whose.number=operation.number AND whose.number<>0
    ) GROUP BY tenant)sql";
}

std::string RecountTenantsSql() {
  return absl::StrCat(
      "DELETE FROM tenant_bytes;"
      "INSERT INTO tenant_bytes SELECT tenant, bytes, row_sum(tenant,bytes)"
      " FROM (",
      View(CountTenantsSql()), ");");
}

SqliteTenantWriter::SqliteTenantWriter(SqliteConnection& c)
    : connection_(c),
      runs_(kRunsKnown),
      entities_(kEntitiesKnown),
      owner_of_run_(c,
                    "SELECT tenant FROM instance WHERE number=?1"
                    " UNION ALL"
                    " SELECT tenant FROM replaced WHERE number=?1 LIMIT 1"),
      owner_of_entity_(c,
                       "SELECT tenant FROM entity"
                       " WHERE number=? AND number<>0"),
      put_(c,
           "INSERT INTO tenant_bytes VALUES (?1,?2,row_sum(?1,?2))"
           " ON CONFLICT (tenant)"
           " DO UPDATE SET bytes=?2, sum=row_sum(?1,?2)"),
      drop_(c, "DELETE FROM tenant_bytes WHERE tenant=?") {
  Load();
}

void SqliteTenantWriter::Load() {
  SqliteStatement all(connection_,
                      "SELECT tenant, bytes, sum=row_sum(tenant,bytes)"
                      " FROM tenant_bytes");
  SqliteRows rows = all.Start();
  while (rows.Next()) {
    Tenant& tenant = Of(rows.Bytes(0));
    Change(tenant, rows.Number(1) - tenant.second.bytes);
    if (rows.Number(2) == 0) recount_ = true;
  }
  // Nothing is to be written.
  for (Tenant* tenant : changed_) tenant->second.to_write = false;
}

SqliteTenantWriter::Tenant& SqliteTenantWriter::Of(std::string_view tenant) {
  const auto found = tenants_.find(tenant);
  return found != tenants_.end() ? *found
                                 : *tenants_.emplace(tenant, Sum()).first;
}

void SqliteTenantWriter::Change(Tenant& tenant, int64_t bytes) {
  if (bytes == 0) return;
  Sum& sum = tenant.second;
  sum.bytes += bytes;
  sum.to_write = true;
  if (!std::exchange(sum.to_publish, true)) changed_.push_back(&tenant);
}

void SqliteTenantWriter::Count(std::string_view tenant, int64_t bytes) {
  const SqliteConnection::Gone gone = connection_.TakeGone();
  if (gone.damaged) recount_ = true;
  if (bytes != gone.bytes) Change(Of(tenant), bytes - gone.bytes);
}

void SqliteTenantWriter::Note(Owners& owners, RunNumber number,
                              std::string_view tenant) {
  owners[static_cast<size_t>(number) % owners.size()] = {number, &Of(tenant)};
}

absl::StatusOr<SqliteTenantWriter::Tenant*> SqliteTenantWriter::OwnerOf(
    Owners& owners, SqliteStatement& find, RunNumber number) {
  auto& known = owners[static_cast<size_t>(number) % owners.size()];
  if (known.second != nullptr && known.first == number) return known.second;
  SqliteRows rows = find.Start(number);
  if (!rows.Next()) {
    if (!rows.status().ok()) return rows.status();
    return nullptr;
  }
  known = {number, &Of(rows.Bytes(0))};
  return known.second;
}

absl::Status SqliteTenantWriter::CountFor(Owners& owners, SqliteStatement& find,
                                          RunNumber number, int64_t bytes) {
  const SqliteConnection::Gone gone = connection_.TakeGone();
  if (gone.damaged) recount_ = true;
  if (bytes == gone.bytes) return absl::OkStatus();
  const absl::StatusOr<Tenant*> owner = OwnerOf(owners, find, number);
  if (!owner.ok()) return owner.status();
  if (*owner != nullptr) Change(**owner, bytes - gone.bytes);
  return absl::OkStatus();
}

absl::Status SqliteTenantWriter::CountRun(RunNumber number, int64_t bytes) {
  return CountFor(runs_, owner_of_run_, number, bytes);
}

absl::Status SqliteTenantWriter::CountEntity(RunNumber number, int64_t bytes) {
  return CountFor(entities_, owner_of_entity_, number, bytes);
}

absl::Status SqliteTenantWriter::LookUpRun(RunNumber number) {
  return OwnerOf(runs_, owner_of_run_, number).status();
}

void SqliteTenantWriter::Clear(std::string_view tenant) {
  if (connection_.TakeGone().damaged) recount_ = true;
  Tenant& cleared = Of(tenant);
  Change(cleared, -cleared.second.bytes);
}

absl::Status SqliteTenantWriter::Recount() {
  recount_ = false;
  absl::Status done = connection_.Run(RecountTenantsSql());
  if (!done.ok()) return done;
  for (Tenant& tenant : tenants_) Change(tenant, -tenant.second.bytes);
  Load();
  return connection_.status();
}

absl::Status SqliteTenantWriter::Write() {
  if (recount_) return Recount();
  for (Tenant* tenant : changed_) {
    Sum& sum = tenant->second;
    if (!std::exchange(sum.to_write, false)) continue;
    absl::Status done = sum.bytes == 0 ? drop_.Run(tenant->first)
                                       : put_.Run(tenant->first, sum.bytes);
    if (!done.ok()) return done;
  }
  return absl::OkStatus();
}

void SqliteTenantWriter::Publish(TenantBytes& bytes) {
  for (Tenant* tenant : changed_) {
    tenant->second.to_publish = false;
    bytes.Set(tenant->first, tenant->second.bytes);
  }
  changed_.clear();
}

}  // namespace leasehold
