#include "service/storage/sqlite_check.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/storage/durable_files.h"
#include "service/storage/sqlite_connection.h"
#include "service/storage/sqlite_run_counts.h"
#include "service/storage/sqlite_schema.h"
#include "service/storage/sqlite_tenants.h"
#include "service/storage/store_restore.h"
#include "service/storage/witness.h"

namespace leasehold {
namespace {

// A table whose rows belong to runs.
struct PartTable {
  const char* name;
  const char* order;  // The column that orders a run's rows.
  const char* bytes;  // The column with the data.
  const char* sum;    // What the checksum covers.
};
constexpr PartTable kParts[] = {
    {"history", "chunk", "events", "number,chunk,events"},
    {"message", "sequence", "event", "number,sequence,execution,event"},
    {"timer", "sequence", "due", "number,sequence,due"},
    {"task", "sequence", "task", "number,sequence,task"},
};

// The runs in the file, by number.
using States = std::map<RunNumber, CheckReport::Run>;

class Looker {
 public:
  Looker(SqliteConnection& file, const RowDecoders& decoders)
      : file_(file), decoders_(decoders) {}

  CheckReport Look() {
    LookAtFile();
    LookAtRuns("instance");
    LookAtRuns("replaced");
    for (const PartTable& table : kParts) LookAtParts(table);
    LookAtRest("request", "request_hash,key_hash,tenant,request,id,receipt");
    LookAtRest("setting", "name,value");
    LookAtRest("outbox", "source,ordinal,target,body");
    LookAtRest("partition", "id,epoch,generation");
    LookAtRest("entity", "number,modified,present,tenant,id,header,state");
    LookAtRest("operation", "number,sequence,event");
    LookAtRest("call", "tenant,request,ended,fingerprint,id,outcome");
    LookAtRest("tenant_bytes", "tenant,bytes");
    LookAtRest("run_count", "tenant,status,runs");
    LookAtLedger();
    LookAtTenants();
    LookAtRunCounts();
    return std::move(report_);
  }

 private:
  void Damage(std::string what) { report_.damage.push_back(std::move(what)); }
  void Damage(RunNumber number, std::string what) {
    auto known = states_.find(number);
    if (known == states_.end()) {
      known = states_.emplace(number, CheckReport::Run{"", "", "missing", {}})
                  .first;
    }
    CheckReport::Run& run =
        report_.runs.try_emplace(number, known->second).first->second;
    run.damage.push_back(std::move(what));
  }
  void EndTable(const std::string& table, const SqliteRows& rows) {
    if (rows.status().ok()) return;
    Damage(absl::StrCat("table ", table, " cannot be read to its end: ",
                        rows.status().message()));
  }

  void LookAtFile() {
    const auto result = file_.Ask("PRAGMA integrity_check(1)");
    if (!result.ok()) {
      Damage(std::string(result.status().message()));
    } else if (*result != "ok") {
      Damage(*result);
    }
  }

  void LookAtRuns(const std::string& table) {
    SqliteStatement all(
        file_, absl::StrCat("SELECT number, key_hash, finished, tenant, id,"
                            " summary, sum=row_sum(number,key_hash,status,"
                            "created,finished,tenant,id,summary) FROM ",
                            table, " NOT INDEXED"));
    SqliteRows rows = all.Start();
    while (rows.Next()) {
      ++report_.rows[table];
      const RunNumber number = rows.Number(0);
      const bool open = !rows.NumberOrNull(2).has_value();
      std::string state = table == "replaced" ? table
                          : open              ? "open"
                                              : "finished";
      states_[number] = {rows.String(3), rows.String(4), std::move(state), {}};
      if (rows.Number(6) == 0) {
        Damage(number, "its row has a wrong checksum");
      } else if (!decoders_.summary(rows.Bytes(5))) {
        Damage(number, "its summary cannot be read");
      }
    }
    EndTable(table, rows);
  }

  void LookAtParts(const PartTable& table) {
    SqliteStatement all(
        file_, absl::StrCat("SELECT number, ", table.order, ", ", table.bytes,
                            ", sum=row_sum(", table.sum, ") FROM ", table.name,
                            " ORDER BY number, ", table.order));
    const std::string name = table.name;
    SqliteRows rows = all.Start();
    while (rows.Next()) {
      ++report_.rows[name];
      const RunNumber number = rows.Number(0);
      const std::string which =
          absl::StrCat(name == "history" ? "chunk" : name, " ", rows.Number(1));
      if (!states_.contains(number)) {
        Damage(number, which + " belongs to no orchestration");
      }
      if (rows.Number(3) == 0) {
        Damage(number, which + " has a wrong checksum");
      } else if (!CanBeRead(name, rows.Bytes(2))) {
        Damage(number, which + " cannot be read");
      }
    }
    EndTable(name, rows);
  }
  bool CanBeRead(const std::string& table, std::string_view bytes) const {
    if (table == "history") return decoders_.events(bytes);
    if (table == "message") return decoders_.event(bytes);
    return table != "task" || decoders_.task(bytes);
  }

  void LookAtRest(const std::string& table, const std::string& sum) {
    SqliteStatement all(
        file_, absl::StrCat("SELECT sum=row_sum(", sum, ") FROM ", table));
    SqliteRows rows = all.Start();
    int64_t bad = 0;
    while (rows.Next()) {
      ++report_.rows[table];
      if (rows.Number(0) == 0) ++bad;
    }
    EndTable(table, rows);
    if (bad == 0) return;
    Damage(
        absl::StrCat(bad, " rows of table ", table, " have a wrong checksum"));
  }

  void LookAtLedger() {
    SqliteStatement read(
        file_,
        "SELECT instances, open, messages, timers, tasks, outbox, entities,"
        " awake, operations,"
        " sum=row_sum(line,commits,instances,open,messages,timers,tasks,"
        "outbox,entities,awake,operations) FROM ledger");
    SqliteRows rows = read.Start();
    if (!rows.Next()) return Damage("its ledger is missing");
    if (rows.Number(9) == 0) {
      return Damage("its ledger has a wrong checksum");
    }
    int64_t open = 0;
    for (const auto& [number, run] : states_) open += run.state == "open";
    const auto awake =
        file_.AskNumber("SELECT count(*) FROM entity WHERE number<>0");
    const std::pair<const char*, int64_t> counts[] = {
        {"orchestrations", report_.rows["instance"]},
        {"open orchestrations", open},
        {"messages", report_.rows["message"]},
        {"timers", report_.rows["timer"]},
        {"activities", report_.rows["task"]},
        {"rows of the outbox", report_.rows["outbox"]},
        {"entities", report_.rows["entity"]},
        {"entities that are awake", awake.value_or(-1)},
        {"operations of entities", report_.rows["operation"]}};
    for (int i = 0; i < 9; ++i) {
      if (counts[i].second == rows.Number(i)) continue;
      Damage(absl::StrCat(counts[i].second, " ", counts[i].first, " found, ",
                          rows.Number(i), " expected"));
    }
  }

  void LookAtTenants() {
    SqliteStatement counted(file_, "SELECT tenant, bytes FROM tenant_bytes");
    SqliteRows before = counted.Start();
    std::map<std::string, int64_t> differ;
    while (before.Next()) differ[before.String(0)] = before.Number(1);
    EndTable("tenant_bytes", before);
    SqliteStatement count(file_, CountTenantsSql());
    SqliteRows rows = count.Start();
    while (rows.Next()) differ[rows.String(0)] -= rows.Number(1);
    if (!rows.status().ok()) return;  // Said of its table.
    for (const auto& [tenant, bytes] : differ) {
      if (bytes == 0) continue;
      Damage(absl::StrCat("tenant \"", absl::CHexEscape(tenant),
                          "\" was counted ", std::abs(bytes), " bytes too ",
                          bytes > 0 ? "many" : "few"));
    }
  }

  void LookAtRunCounts() {
    SqliteStatement counted(file_,
                            "SELECT tenant, status, runs FROM run_count");
    SqliteRows before = counted.Start();
    std::map<std::pair<std::string, int64_t>, int64_t> differ;
    while (before.Next()) {
      differ[{before.String(0), before.Number(1)}] = before.Number(2);
    }
    EndTable("run_count", before);
    SqliteStatement count(file_, CountRunsSql());
    SqliteRows rows = count.Start();
    while (rows.Next()) {
      differ[{rows.String(0), rows.Number(1)}] -= rows.Number(2);
    }
    if (!rows.status().ok()) return;  // Said of its table.
    for (const auto& [key, runs] : differ) {
      if (runs == 0) continue;
      Damage(absl::StrCat("tenant \"", absl::CHexEscape(key.first),
                          "\" was counted ", std::abs(runs),
                          " orchestrations of status ", key.second, " too ",
                          runs > 0 ? "many" : "few"));
    }
  }

  SqliteConnection& file_;
  const RowDecoders& decoders_;
  CheckReport report_;
  States states_;
};

}  // namespace

SqliteCheck::SqliteCheck(std::string directory,
                         std::unique_ptr<DataDirectory> lock)
    : directory_(std::move(directory)),
      path_(absl::StrCat(directory_, "/", DataDirectory::kStoreName)),
      lock_(std::move(lock)) {}

absl::StatusOr<std::unique_ptr<SqliteCheck>> SqliteCheck::Begin(
    const std::string& directory, const Clock& clock) {
  const std::string path =
      absl::StrCat(directory, "/", DataDirectory::kStoreName);
  std::error_code error;
  if (!std::filesystem::exists(path, error) &&
      !RestoreIsUnfinished(directory)) {
    return absl::NotFoundError(absl::StrCat("there is no file \"", path, "\""));
  }
  auto lock = DataDirectory::Lock(directory, clock);
  if (!lock.ok()) return lock.status();
  DurableFiles files;
  const auto finished = FinishRestore(directory, files);
  if (!finished.ok()) return finished.status();
  std::unique_ptr<SqliteCheck> check(
      new SqliteCheck(directory, *std::move(lock)));
  SqliteConnection file(path, "", SqliteConnection::Access::kReadOnly);
  const auto version = SqliteVersion(file, SqliteMigrations());
  if (!version.ok()) return version.status();
  const auto newest = static_cast<int64_t>(SqliteMigrations().size());
  if (*version != newest) {
    return absl::FailedPreconditionError(
        absl::StrCat("\"", path, "\" has schema version ", *version,
                     ", and this program checks version ", newest,
                     "; starting this server migrates it"));
  }
  return check;
}

CheckReport SqliteCheck::Look(const RowDecoders& decoders) {
  SqliteConnection file(path_, "", SqliteConnection::Access::kReadOnly);
  CheckReport report = Looker(file, decoders).Look();
  const auto commits = file.AskNumber("SELECT commits FROM ledger");
  const auto witness =
      Witness::Open(directory_ + "/" + DataDirectory::kWitnessName);
  if (commits.ok() && witness.ok() &&
      static_cast<uint64_t>(*commits) < (*witness)->commits()) {
    report.damage.push_back(absl::StrCat(
        "it is older than the last acknowledged commit: it has ", *commits,
        " commits, but ", (*witness)->commits(), " were acknowledged"));
  }
  return report;
}

absl::Status SqliteCheck::Export(const CheckReport& report,
                                 const std::string& path) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  SqliteConnection file(path_, "", SqliteConnection::Access::kReadOnly);
  const auto write = [&out](absl::string_view table, RunNumber number,
                            absl::string_view more, const SqliteRows& rows,
                            int bytes, int whole) {
    const std::string_view blob = rows.Bytes(bytes);
    out << absl::StrCat(
        "{\"table\":\"", table, "\",\"number\":", number, more,
        ",\"whole\":", rows.Number(whole) != 0 ? "true" : "false",
        ",\"bytes\":\"",
        absl::Base64Escape(absl::string_view(blob.data(), blob.size())),
        "\"}\n");
  };
  const auto base64 = [](std::string_view text) {
    return absl::Base64Escape(absl::string_view(text.data(), text.size()));
  };
  for (const auto& [number, run] : report.runs) {
    for (const char* table : {"instance", "replaced"}) {
      SqliteStatement one(
          file, absl::StrCat("SELECT status, created, finished, tenant, id,"
                             " summary, sum=row_sum(number,key_hash,status,"
                             "created,finished,tenant,id,summary) FROM ",
                             table, " WHERE number=?"));
      SqliteRows rows = one.Start(number);
      while (rows.Next()) {
        const auto finished = rows.NumberOrNull(2);
        write(table, number,
              absl::StrCat(",\"status\":", rows.Number(0),
                           ",\"created\":", rows.Number(1), ",\"finished\":",
                           finished ? absl::StrCat(*finished) : "null",
                           ",\"tenant\":\"", base64(rows.Bytes(3)),
                           "\",\"id\":\"", base64(rows.Bytes(4)), "\""),
              rows, 5, 6);
      }
    }
    for (const PartTable& table : kParts) {
      SqliteStatement all(
          file, absl::StrCat("SELECT ", table.order, ", ", table.bytes,
                             ", sum=row_sum(", table.sum, ") FROM ", table.name,
                             " WHERE number=? ORDER BY ", table.order));
      SqliteRows rows = all.Start(number);
      while (rows.Next()) {
        write(table.name, number,
              absl::StrCat(",\"", table.order, "\":", rows.Number(0)), rows, 1,
              2);
      }
    }
  }
  out.flush();
  if (out.good()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write \"", path, "\""));
}

absl::Status SqliteCheck::AcceptWhatIsThere() {
  SqliteConnection file(path_, "", SqliteConnection::Access::kWrite);
  absl::Status status = file.Run(absl::StrCat(
      "REINDEX; BEGIN IMMEDIATE;"
      "INSERT OR IGNORE INTO ledger VALUES (1,0,0,0,0,0,0,0,0,0,0,0);"
      "INSERT OR IGNORE INTO partition VALUES (0,0,0,0);"
      "UPDATE partition SET sum = row_sum(id,epoch,generation);"
      "DELETE FROM message WHERE number NOT IN (SELECT number FROM instance);"
      "DELETE FROM timer WHERE number NOT IN (SELECT number FROM instance);"
      "DELETE FROM task WHERE number NOT IN (SELECT number FROM instance);"
      "DELETE FROM operation WHERE number NOT IN"
      " (SELECT number FROM entity WHERE number<>0);",
      RecountTenantsSql(), RecountRunsSql(),
      "UPDATE ledger SET instances = (SELECT count(*) FROM instance),"
      " open = (SELECT count(*) FROM instance WHERE finished IS NULL),"
      " messages = (SELECT count(*) FROM message),"
      " timers = (SELECT count(*) FROM timer),"
      " tasks = (SELECT count(*) FROM task),"
      " outbox = (SELECT count(*) FROM outbox),"
      " entities = (SELECT count(*) FROM entity),"
      " awake = (SELECT count(*) FROM entity WHERE number<>0),"
      " operations = (SELECT count(*) FROM operation);"
      "UPDATE ledger SET sum ="
      " row_sum(line,commits,instances,open,messages,timers,tasks,outbox,"
      "entities,awake,operations);"
      "COMMIT"));
  if (!status.ok()) {
    file.Run("ROLLBACK").IgnoreError();
    return status;
  }
  const auto commits = file.AskNumber("SELECT commits FROM ledger");
  if (!commits.ok()) return commits.status();
  auto witness = Witness::Open(directory_ + "/" + DataDirectory::kWitnessName);
  if (!witness.ok()) return witness.status();
  (*witness)->SetCommits(static_cast<uint64_t>(*commits));
  return absl::OkStatus();
}

}  // namespace leasehold
