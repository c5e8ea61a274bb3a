#include "service/storage/sqlite_run_counts.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/view.h"

namespace leasehold {

std::string MovedSql(std::string_view status) {
  return absl::StrCat("run_moved(tenant,status,", View(status), ")");
}

std::string_view CountRunsSql() {
  return "SELECT tenant, status, count(*) AS runs FROM instance NOT INDEXED"
         " GROUP BY tenant, status";
}

std::string RecountRunsSql() {
  return absl::StrCat(
      "DELETE FROM run_count;"
      "INSERT INTO run_count SELECT tenant, status, runs,"
      " row_sum(tenant,status,runs) FROM (",
      View(CountRunsSql()), ");");
}

SqliteRunCounts::SqliteRunCounts(SqliteConnection& c)
    : connection_(c),
      put_(c,
           "INSERT INTO run_count VALUES (?1,?2,?3,row_sum(?1,?2,?3))"
           " ON CONFLICT (tenant, status)"
           " DO UPDATE SET runs=?3, sum=row_sum(?1,?2,?3)"),
      drop_(c, "DELETE FROM run_count WHERE tenant=? AND status=?") {
  Load();
}

void SqliteRunCounts::Load() {
  SqliteStatement all(connection_,
                      "SELECT tenant, status, runs,"
                      " sum=row_sum(tenant,status,runs) FROM run_count");
  SqliteRows rows = all.Start();
  while (rows.Next()) {
    auto& count = Of(rows.Bytes(0), static_cast<int32_t>(rows.Number(1)));
    Change(count, rows.Number(2) - count.second.runs);
    if (rows.Number(3) == 0) damaged_ = true;
  }
  // Nothing is to be written.
  for (auto* count : changed_) count->second.to_write = false;
}

SqliteRunCounts::Counts::value_type& SqliteRunCounts::Of(
    std::string_view tenant, int32_t status) {
  return *counts_.try_emplace({std::string(tenant), status}).first;
}

void SqliteRunCounts::Change(Counts::value_type& count, int64_t runs) {
  if (runs == 0) return;
  count.second.runs += runs;
  count.second.to_write = true;
  if (!std::exchange(count.second.to_publish, true)) changed_.push_back(&count);
}

absl::Status SqliteRunCounts::Recount() {
  damaged_ = false;
  absl::Status done = connection_.Run(RecountRunsSql());
  if (!done.ok()) return done;
  for (auto& count : counts_) Change(count, -count.second.runs);
  Load();
  return connection_.status();
}

absl::Status SqliteRunCounts::Write(bool recount) {
  for (const SqliteConnection::Move& move : connection_.TakeMoves()) {
    Change(Of(move.tenant, move.from), -1);
    if (move.to.has_value()) Change(Of(move.tenant, *move.to), 1);
  }
  if (recount || damaged_) return Recount();
  for (auto* count : changed_) {
    if (!std::exchange(count->second.to_write, false)) continue;
    const auto& [tenant, status] = count->first;
    const int64_t runs = count->second.runs;
    absl::Status done = runs == 0 ? drop_.Run(tenant, int64_t{status})
                                  : put_.Run(tenant, int64_t{status}, runs);
    if (!done.ok()) return done;
  }
  return absl::OkStatus();
}

void SqliteRunCounts::Publish(RunCounts& counts) {
  for (auto* count : changed_) {
    count->second.to_publish = false;
    counts.Set(count->first.tenant, count->first.status, count->second.runs);
  }
  changed_.clear();
}

}  // namespace leasehold
