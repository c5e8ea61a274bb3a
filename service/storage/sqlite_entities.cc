#include "service/storage/sqlite_entities.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/storage/row_match.h"

namespace leasehold {
namespace {

constexpr absl::Duration kEntityReadMax = absl::Seconds(1);

constexpr char kTexts[] = "tenant,id,header,state";
constexpr char kSum[] = "number,modified,present,tenant,id,header,state";

constexpr absl::string_view kIsWhole =
    "sum=row_sum(number,modified,present,tenant,id,header,state)";

// The columns of a row, up to its state.
constexpr absl::string_view kSelectEntity =
    "SELECT number, modified, present, tenant, id, header";

EntityRow RowWithoutState(const SqliteRows& rows) {
  return {.tenant = rows.String(3),
          .id = rows.String(4),
          .number = rows.Number(0),
          .modified = rows.Number(1),
          .header = rows.String(5),
          .state = std::nullopt};
}

std::string_view StateOf(const EntityRow& row) {
  return row.state.has_value() ? std::string_view(*row.state)
                               : std::string_view("");
}

}  // namespace

// ---- Writing ----------------------------------------------------------------

SqliteEntityWriter::SqliteEntityWriter(SqliteConnection& c,
                                       SqliteTenantWriter& tenants)
    : tenants_(tenants),
      number_(c, "SELECT number FROM entity WHERE tenant=? AND id=?"),
      insert_(c,
              "INSERT INTO entity (number, modified, present, tenant, id,"
              " header, state, sum)"
              " VALUES (?1,?2,?3,?4,?5,?6,?7,row_sum(?1,?2,?3,?4,?5,?6,?7))"),
      update_(c, absl::StrCat(
                     "UPDATE entity SET number=?1, modified=?2, present=?3,"
                     " header=?6, state=?7, sum=row_sum(?1,?2,?3,?4,?5,?6,?7)"
                     " WHERE tenant=?4 AND id=?5 AND ",
                     ChangedSql("header,state"))),
      touch_(c,
             absl::StrCat("UPDATE entity SET number=?1, header=?2,"
                          " sum=row_sum(?1,modified,present,tenant,id,?2,state)"
                          " WHERE tenant=?3 AND id=?4 AND ",
                          ChangedSql("header"))),
      erase_(c, absl::StrCat("DELETE FROM entity WHERE tenant=? AND id=? AND ",
                             GoneSql(kTexts, kSum))),
      erase_empty_(c, absl::StrCat("DELETE FROM entity WHERE tenant=? AND id=?"
                                   " AND iif(number=0 AND present=0,",
                                   GoneSql(kTexts, kSum), ",0)")),
      put_operation_(c,
                     "INSERT INTO operation SELECT ?1,?2,?3,row_sum(?1,?2,?3)"
                     " WHERE EXISTS (SELECT 1 FROM entity"
                     " WHERE number=?1 AND number<>0) ON CONFLICT DO NOTHING"),
      replace_operation_(
          c, absl::StrCat("UPDATE operation SET event=?3, sum=row_sum(?1,?2,?3)"
                          " WHERE number=?1 AND sequence=?2 AND ",
                          ChangedSql("event"))),
      drop_operation_(
          c, absl::StrCat("DELETE FROM operation WHERE number=? AND sequence=?"
                          " AND ",
                          TakenSql("event"))),
      erase_operations_(
          c, absl::StrCat("DELETE FROM operation WHERE number=? AND ",
                          GoneSql("event", "number,sequence,event"))),
      awake_of_tenant_(c,
                       "SELECT number FROM entity INDEXED BY entity_key"
                       " WHERE tenant=? AND number<>0"),
      erase_tenant_(c, "DELETE FROM entity WHERE tenant=?") {}

absl::StatusOr<std::optional<RunNumber>> SqliteEntityWriter::NumberOf(
    std::string_view tenant, std::string_view id) {
  SqliteRows rows = number_.Start(tenant, id);
  std::optional<RunNumber> number;
  if (rows.Next()) number = rows.Number(0);
  if (!rows.status().ok()) return rows.status();
  return number;
}

absl::Status SqliteEntityWriter::ChangeNumber(std::optional<RunNumber> before,
                                              std::optional<RunNumber> after) {
  const auto is_awake = [](std::optional<RunNumber> number) {
    return number.value_or(0) != 0 ? 1 : 0;
  };
  counts_.entities +=
      (after.has_value() ? 1 : 0) - (before.has_value() ? 1 : 0);
  counts_.awake += is_awake(after) - is_awake(before);
  if (!is_awake(before) || before == after) return absl::OkStatus();
  absl::Status done = erase_operations_.Run(*before);
  if (done.ok()) counts_.operations -= erase_operations_.changed();
  return done;
}

void SqliteEntityWriter::Count(const EntityRow& row, int64_t bytes) {
  tenants_.Count(row.tenant, bytes);
  if (row.number != 0) tenants_.NoteEntity(row.number, row.tenant);
}

absl::Status SqliteEntityWriter::Insert(const EntityRow& row) {
  return insert_.Run(row.number, row.modified,
                     int64_t{row.state.has_value() ? 1 : 0}, row.tenant, row.id,
                     row.header, StateOf(row));
}

absl::Status SqliteEntityWriter::EraseIfEmpty(const EntityRow& row) {
  if (row.number != 0) return absl::OkStatus();
  absl::Status done = erase_empty_.Run(row.tenant, row.id);
  if (done.ok()) counts_.entities -= erase_empty_.changed();
  tenants_.Count(row.tenant, 0);
  return done;
}

absl::Status SqliteEntityWriter::Apply(const PutEntity& change) {
  const EntityRow& row = change.row;
  const auto before = NumberOf(row.tenant, row.id);
  if (!before.ok()) return before.status();
  absl::Status done = ChangeNumber(*before, row.number);
  if (!done.ok()) return done;
  done = before->has_value()
             ? update_.Run(row.number, row.modified,
                           int64_t{row.state.has_value() ? 1 : 0}, row.tenant,
                           row.id, row.header, StateOf(row))
             : Insert(row);
  Count(row, before->has_value()
                 ? RowBytes(row.header.size() + StateOf(row).size()) - kRowBytes
                 : BytesOf(row));
  return done.ok() && !row.state.has_value() ? EraseIfEmpty(row) : done;
}

absl::Status SqliteEntityWriter::Apply(const TouchEntity& change) {
  EntityRow row = change.row;
  const auto before = NumberOf(row.tenant, row.id);
  if (!before.ok()) return before.status();
  absl::Status done = ChangeNumber(*before, row.number);
  if (!done.ok()) return done;
  row.state.reset();
  done = before->has_value()
             ? touch_.Run(row.number, row.header, row.tenant, row.id)
             : Insert(row);
  Count(row, before->has_value() ? static_cast<int64_t>(row.header.size())
                                 : BytesOf(row));
  return done.ok() ? EraseIfEmpty(row) : done;
}

absl::Status SqliteEntityWriter::Apply(const EraseEntity& change) {
  const auto before = NumberOf(change.tenant, change.id);
  if (!before.ok()) return before.status();
  absl::Status done = ChangeNumber(*before, std::nullopt);
  if (done.ok()) done = erase_.Run(change.tenant, change.id);
  tenants_.Count(change.tenant, 0);
  return done;
}

absl::Status SqliteEntityWriter::Apply(const PutOperation& change) {
  const OperationRow& row = change.row;
  absl::Status done = put_operation_.Run(row.number, row.sequence, row.event);
  if (!done.ok()) return done;
  if (put_operation_.changed() != 0) {
    ++counts_.operations;
    return tenants_.CountEntity(row.number, BytesOf(row));
  }
  done = replace_operation_.Run(row.number, row.sequence, row.event);
  if (!done.ok() || replace_operation_.changed() == 0) return done;
  return tenants_.CountEntity(row.number,
                              static_cast<int64_t>(row.event.size()));
}

absl::Status SqliteEntityWriter::Apply(const DropOperation& change) {
  absl::Status done = drop_operation_.Run(change.number, change.sequence);
  if (!done.ok()) return done;
  counts_.operations -= drop_operation_.changed();
  return tenants_.CountEntity(change.number, 0);
}

absl::Status SqliteEntityWriter::Apply(const EraseTenant& change) {
  std::vector<RunNumber> awake;
  {
    SqliteRows rows = awake_of_tenant_.Start(change.tenant);
    while (rows.Next()) awake.push_back(rows.Number(0));
    if (!rows.status().ok()) return rows.status();
  }
  for (const RunNumber number : awake) {
    absl::Status done = erase_operations_.Run(number);
    if (!done.ok()) return done;
    counts_.operations -= erase_operations_.changed();
  }
  counts_.awake -= static_cast<int64_t>(awake.size());
  absl::Status done = erase_tenant_.Run(change.tenant);
  if (done.ok()) counts_.entities -= erase_tenant_.changed();
  return done;
}

// ---- Reading ----------------------------------------------------------------

SqliteEntityReader::SqliteEntityReader(SqliteConnection& c, const Clock& clock)
    : connection_(c),
      clock_(clock),
      ledger_(c,
              "SELECT awake, operations,"
              " sum=row_sum(line,commits,instances,open,messages,timers,tasks,"
              "outbox,entities,awake,operations) FROM ledger"),
      awake_(c, absl::StrCat(kSelectEntity, ", ", kIsWhole,
                             " FROM entity INDEXED BY entity_awake"
                             " WHERE number<>0 ORDER BY number")),
      operations_(c,
                  "SELECT number, sequence, event,"
                  " sum=row_sum(number,sequence,event) FROM operation"
                  " ORDER BY number, sequence"),
      find_(c, absl::StrCat(kSelectEntity, ", state, ", kIsWhole,
                            " FROM entity WHERE tenant=? AND id=?")),
      after_(c, absl::StrCat(kSelectEntity,
                             " FROM entity INDEXED BY entity_key"
                             " WHERE tenant=?1 AND id>?2 AND id>=?3"
                             " ORDER BY id")),
      whole_(c, absl::StrCat("SELECT state, ", kIsWhole,
                             " FROM entity WHERE tenant=? AND id=?")) {}

absl::Status SqliteEntityReader::ReadAwake(
    PartitionId partition, absl::FunctionRef<void(AwakeEntity entity)> each) {
  if (partition != kOnlyPartition) return absl::OkStatus();
  // All statements see one snapshot, which the first of them sets.
  SqliteRows ledger = ledger_.Start();
  if (!ledger.Next()) {
    return ledger.status().ok() ? connection_.Damaged("its ledger is missing")
                                : ledger.status();
  }
  SqliteRows rows = awake_.Start();
  SqliteRows parts = operations_.Start();
  int64_t entities = 0;
  int64_t operations = 0;
  bool more = parts.Next();
  const auto step = [&] {
    ++operations;
    more = parts.Next();
  };
  while (rows.Next()) {
    ++entities;
    AwakeEntity entity{RowWithoutState(rows), {}};
    entity.row.damaged = rows.Number(6) == 0;
    if (entity.row.damaged) entity.damage = "its row has a wrong checksum";
    while (more && parts.Number(0) < entity.row.number) step();
    for (; more && parts.Number(0) == entity.row.number; step()) {
      if (parts.Number(3) == 0) {
        entity.damage = absl::StrCat("its operation ", parts.Number(1),
                                     " has a wrong checksum");
      }
      entity.operations.push_back(
          {entity.row.number, parts.Number(1), parts.String(2)});
    }
    each(std::move(entity));
  }
  while (more) step();
  if (!rows.status().ok()) return rows.status();
  if (!parts.status().ok()) return parts.status();
  if (ledger.Number(2) == 0) {
    return connection_.Damaged("its ledger has a wrong checksum");
  }
  if (entities == ledger.Number(0) && operations == ledger.Number(1)) {
    return absl::OkStatus();
  }
  return connection_.Damaged(absl::StrCat(
      entities, " entities that are awake found, ", ledger.Number(0),
      " expected; ", operations, " operations of entities found, ",
      ledger.Number(1),
      " expected; `leasehold-server check` reports what is left, and its "
      "--accept lets the server continue with that"));
}

absl::StatusOr<std::optional<EntityRow>> SqliteEntityReader::Find(
    std::string_view tenant, std::string_view id) {
  SqliteRows rows = find_.Start(tenant, id);
  if (rows.Next()) {
    EntityRow row = RowWithoutState(rows);
    if (rows.Number(2) != 0) row.state = rows.String(6);
    row.damaged = rows.Number(7) == 0;
    return row;
  }
  if (!rows.status().ok()) return rows.status();
  return std::nullopt;
}

absl::StatusOr<EntityPage> SqliteEntityReader::Query(const EntityQuery& query) {
  constexpr int kRowsBetweenLooks = 64;
  EntityPage page;
  const Instant end = clock_.Now() + kEntityReadMax;
  SqliteRows rows = after_.Start(query.tenant, query.after, query.id_prefix);
  for (int count = 1; rows.Next(); ++count) {
    const std::string_view id = rows.Bytes(4);
    if (!id.starts_with(query.id_prefix)) break;
    if (Matches(query, EntityView{rows.Bytes(3), id, rows.Number(1),
                                  rows.Number(2) != 0})) {
      EntityRow row = RowWithoutState(rows);
      // Begun while `rows` is active, so it sees the same snapshot.
      SqliteRows whole = whole_.Start(row.tenant, row.id);
      if (whole.Next()) {
        if (query.with_state && rows.Number(2) != 0) {
          row.state = whole.String(0);
        }
        row.damaged = whole.Number(1) == 0;
      }
      if (!whole.status().ok()) return whole.status();
      page.rows.push_back(std::move(row));
    }
    if (page.rows.size() >= query.count_max ||
        (count % kRowsBetweenLooks == 0 && clock_.Now() >= end)) {
      page.next = rows.String(4);
      return page;
    }
  }
  if (!rows.status().ok()) return rows.status();
  return page;
}

}  // namespace leasehold
