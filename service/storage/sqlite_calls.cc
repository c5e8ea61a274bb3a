#include "service/storage/sqlite_calls.h"

#include <string>

namespace leasehold {

SqliteCallWriter::SqliteCallWriter(SqliteConnection& c)
    : put_(c,
           "INSERT INTO call (tenant, request, ended, fingerprint, id, outcome,"
           " sum) VALUES (?1,?2,?3,?4,?5,?6,row_sum(?1,?2,?3,?4,?5,?6))"),
      drop_(c, "DELETE FROM call WHERE tenant=? AND request=?"),
      erase_tenant_(c, "DELETE FROM call WHERE tenant=?") {}

absl::Status SqliteCallWriter::Apply(const PutCall& change) {
  const CallRow& row = change.row;
  // The newest is the last one in the order of all.
  absl::Status done = drop_.Run(row.tenant, row.request);
  if (!done.ok()) return done;
  return put_.Run(row.tenant, row.request, row.ended, row.fingerprint, row.id,
                  row.outcome);
}

absl::Status SqliteCallWriter::Apply(const DropCall& change) {
  return drop_.Run(change.tenant, change.request);
}

absl::Status SqliteCallWriter::Apply(const EraseTenant& change) {
  return erase_tenant_.Run(change.tenant);
}

SqliteCallReader::SqliteCallReader(SqliteConnection& c)
    : all_(c,
           "SELECT tenant, request, ended, length(outcome) FROM call"
           " ORDER BY ordinal"),
      find_(c,
            "SELECT ended, fingerprint, id, outcome,"
            " sum=row_sum(tenant,request,ended,fingerprint,id,outcome)"
            " FROM call WHERE tenant=? AND request=?") {}

absl::Status SqliteCallReader::ReadCalls(
    PartitionId partition, absl::FunctionRef<void(CallMark call)> each) {
  if (partition != kOnlyPartition) return absl::OkStatus();
  SqliteRows rows = all_.Start();
  while (rows.Next()) {
    each({.tenant = rows.String(0),
          .request = rows.String(1),
          .ended = rows.Number(2),
          .bytes = static_cast<size_t>(rows.Number(3))});
  }
  return rows.status();
}

absl::StatusOr<std::optional<CallRow>> SqliteCallReader::Find(
    std::string_view tenant, std::string_view request) {
  SqliteRows rows = find_.Start(tenant, request);
  if (rows.Next()) {
    return CallRow{.tenant = std::string(tenant),
                   .request = std::string(request),
                   .ended = rows.Number(0),
                   .fingerprint = rows.Number(1),
                   .id = rows.String(2),
                   .outcome = rows.String(3),
                   .damaged = rows.Number(4) == 0};
  }
  if (!rows.status().ok()) return rows.status();
  return std::nullopt;
}

}  // namespace leasehold
