#include "service/storage/sqlite_schema.h"

#include <array>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

// Columns that conditions use come first: a row is read from its beginning, and
// a long summary is on overflow pages.
constexpr std::array<std::string_view, 9> kMigrations = {
    // Version 1.
    R"sql(
      CREATE TABLE instance (
        number   INTEGER PRIMARY KEY,
        key_hash INTEGER NOT NULL,
        status   INTEGER NOT NULL,
        created  INTEGER NOT NULL,
        finished INTEGER,
        tenant   BLOB NOT NULL,
        id       BLOB NOT NULL,
        summary  BLOB NOT NULL
      ) STRICT;
      CREATE INDEX instance_key ON instance (key_hash);
      CREATE INDEX instance_finished ON instance (finished);

      CREATE TABLE history (
        number INTEGER NOT NULL,
        chunk  INTEGER NOT NULL,
        events BLOB NOT NULL,
        PRIMARY KEY (number, chunk)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE message (
        number    INTEGER NOT NULL,
        sequence  INTEGER NOT NULL,
        execution BLOB NOT NULL,
        event     BLOB NOT NULL,
        PRIMARY KEY (number, sequence)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE timer (
        number   INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        due      INTEGER NOT NULL,
        PRIMARY KEY (number, sequence)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE task (
        number   INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        task     BLOB NOT NULL,
        PRIMARY KEY (number, sequence)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE setting (
        name  BLOB NOT NULL PRIMARY KEY,
        value BLOB NOT NULL
      ) STRICT, WITHOUT ROWID;
    )sql",
    // Version 2: what is kept of runs that were replaced, and of requests.
    R"sql(
      CREATE TABLE replaced (
        number   INTEGER PRIMARY KEY,
        key_hash INTEGER NOT NULL,
        status   INTEGER NOT NULL,
        created  INTEGER NOT NULL,
        finished INTEGER,
        tenant   BLOB NOT NULL,
        id       BLOB NOT NULL,
        summary  BLOB NOT NULL
      ) STRICT;
      CREATE INDEX replaced_key ON replaced (key_hash);

      CREATE TABLE request (
        ordinal      INTEGER PRIMARY KEY,
        request_hash INTEGER NOT NULL,
        key_hash     INTEGER NOT NULL,
        tenant       BLOB NOT NULL,
        request      BLOB NOT NULL,
        id           BLOB NOT NULL,
        receipt      BLOB NOT NULL
      ) STRICT;
      CREATE INDEX request_name ON request (request_hash);
      CREATE INDEX request_key ON request (key_hash);
    )sql",
    // Version 3: a checksum of each row, and how many rows there are.
    R"sql(
      ALTER TABLE instance ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE replaced ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE history ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE message ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE timer ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE task ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE request ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE setting ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
      UPDATE instance SET sum = row_sum(number, key_hash, status, created,
                                        finished, tenant, id, summary);
      UPDATE replaced SET sum = row_sum(number, key_hash, status, created,
                                        finished, tenant, id, summary);
      UPDATE history SET sum = row_sum(number, chunk, events);
      UPDATE message SET sum = row_sum(number, sequence, execution, event);
      UPDATE timer SET sum = row_sum(number, sequence, due);
      UPDATE task SET sum = row_sum(number, sequence, task);
      UPDATE request SET sum = row_sum(request_hash, key_hash, tenant, request,
                                       id, receipt);
      UPDATE setting SET sum = row_sum(name, value);

      CREATE TABLE ledger (
        line      INTEGER PRIMARY KEY CHECK (line = 1),
        commits   INTEGER NOT NULL,
        instances INTEGER NOT NULL,
        open      INTEGER NOT NULL,
        messages  INTEGER NOT NULL,
        timers    INTEGER NOT NULL,
        tasks     INTEGER NOT NULL,
        sum       INTEGER NOT NULL
      ) STRICT;
      INSERT INTO ledger SELECT 1, 0, instances, open, messages, timers, tasks,
          row_sum(1, 0, instances, open, messages, timers, tasks)
        FROM (SELECT (SELECT count(*) FROM instance) AS instances,
                     (SELECT count(*) FROM instance WHERE finished IS NULL)
                         AS open,
                     (SELECT count(*) FROM message) AS messages,
                     (SELECT count(*) FROM timer) AS timers,
                     (SELECT count(*) FROM task) AS tasks);
    )sql",
    // Version 4: who may write, and what partitions have to tell each other.
    // If the ledger's checksum was wrong, it stays wrong.
    R"sql(
      CREATE TABLE partition (
        id         INTEGER PRIMARY KEY,
        epoch      INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        sum        INTEGER NOT NULL
      ) STRICT;
      INSERT INTO partition VALUES (0, 0, 0, row_sum(0, 0, 0));

      CREATE TABLE outbox (
        source  INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        target  INTEGER NOT NULL,
        body    BLOB NOT NULL,
        sum     INTEGER NOT NULL,
        PRIMARY KEY (source, ordinal)
      ) STRICT, WITHOUT ROWID;

      ALTER TABLE ledger RENAME TO old_ledger;
      CREATE TABLE ledger (
        line      INTEGER PRIMARY KEY CHECK (line = 1),
        commits   INTEGER NOT NULL,
        instances INTEGER NOT NULL,
        open      INTEGER NOT NULL,
        messages  INTEGER NOT NULL,
        timers    INTEGER NOT NULL,
        tasks     INTEGER NOT NULL,
        outbox    INTEGER NOT NULL,
        sum       INTEGER NOT NULL
      ) STRICT;
      INSERT INTO ledger
        SELECT line, commits, instances, open, messages, timers, tasks, 0,
               CASE WHEN sum = row_sum(line, commits, instances, open,
                                       messages, timers, tasks)
                    THEN row_sum(line, commits, instances, open, messages,
                                 timers, tasks, 0)
                    ELSE sum END
          FROM old_ledger;
      DROP TABLE old_ledger;
    )sql",
    // Version 5: entities. Of the ledger's checksum, as before.
    R"sql(
      CREATE TABLE entity (
        ordinal  INTEGER PRIMARY KEY,
        number   INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        present  INTEGER NOT NULL,
        tenant   BLOB NOT NULL,
        id       BLOB NOT NULL,
        header   BLOB NOT NULL,
        state    BLOB NOT NULL,
        sum      INTEGER NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX entity_key ON entity (tenant, id);
      CREATE INDEX entity_awake ON entity (number) WHERE number <> 0;

      CREATE TABLE operation (
        number   INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        event    BLOB NOT NULL,
        sum      INTEGER NOT NULL,
        PRIMARY KEY (number, sequence)
      ) STRICT, WITHOUT ROWID;

      ALTER TABLE ledger RENAME TO old_ledger;
      CREATE TABLE ledger (
        line       INTEGER PRIMARY KEY CHECK (line = 1),
        commits    INTEGER NOT NULL,
        instances  INTEGER NOT NULL,
        open       INTEGER NOT NULL,
        messages   INTEGER NOT NULL,
        timers     INTEGER NOT NULL,
        tasks      INTEGER NOT NULL,
        outbox     INTEGER NOT NULL,
        entities   INTEGER NOT NULL,
        awake      INTEGER NOT NULL,
        operations INTEGER NOT NULL,
        sum        INTEGER NOT NULL
      ) STRICT;
      INSERT INTO ledger
        SELECT line, commits, instances, open, messages, timers, tasks, outbox,
               0, 0, 0,
               CASE WHEN sum = row_sum(line, commits, instances, open,
                                       messages, timers, tasks, outbox)
                    THEN row_sum(line, commits, instances, open, messages,
                                 timers, tasks, outbox, 0, 0, 0)
                    ELSE sum END
          FROM old_ledger;
      DROP TABLE old_ledger;
    )sql",
    // Version 6: what is kept of calls of entities.
    R"sql(
      CREATE TABLE call (
        ordinal     INTEGER PRIMARY KEY,
        tenant      BLOB NOT NULL,
        request     BLOB NOT NULL,
        ended       INTEGER NOT NULL,
        fingerprint INTEGER NOT NULL,
        id          BLOB NOT NULL,
        outcome     BLOB NOT NULL,
        sum         INTEGER NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX call_name ON call (tenant, request);
    )sql",
    // Version 7: what the rows of each tenant take (tenant_bytes.h).
    R"sql(
      CREATE TABLE tenant_bytes (
        tenant BLOB NOT NULL PRIMARY KEY,
        bytes  INTEGER NOT NULL,
        sum    INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      INSERT INTO tenant_bytes SELECT tenant, bytes, row_sum(tenant, bytes)
      FROM (SELECT tenant, sum(bytes) AS bytes FROM (
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
      ) GROUP BY tenant);
    )sql",
    // Version 8: lists of a tenant's instances with the newest first. Nothing
    // that changes in a turn is in the index, so no turn writes it.
    R"sql(
      CREATE INDEX instance_created ON instance (tenant, created);
    )sql",
    // Version 9: how many instances of each tenant have each status.
    R"sql(
      CREATE TABLE run_count (
        tenant BLOB NOT NULL,
        status INTEGER NOT NULL,
        runs   INTEGER NOT NULL,
        sum    INTEGER NOT NULL,
        PRIMARY KEY (tenant, status)
      ) STRICT, WITHOUT ROWID;
      INSERT INTO run_count
      SELECT tenant, status, runs, row_sum(tenant, status, runs)
      FROM (SELECT tenant, status, count(*) AS runs FROM instance NOT INDEXED
            GROUP BY tenant, status);
    )sql",
};

}  // namespace

absl::Span<const std::string_view> SqliteMigrations() { return kMigrations; }

absl::StatusOr<int64_t> SqliteVersion(
    SqliteConnection& connection,
    absl::Span<const std::string_view> migrations) {
  const auto application = connection.AskNumber("PRAGMA application_id");
  if (!application.ok()) return application.status();
  auto version = connection.AskNumber("PRAGMA user_version");
  if (!version.ok()) return version.status();
  const auto objects =
      connection.AskNumber("SELECT count(*) FROM sqlite_schema");
  if (!objects.ok()) return objects.status();

  const bool empty = *application == 0 && *version == 0 && *objects == 0;
  if (!empty && *application != kSqliteApplicationId) {
    return absl::FailedPreconditionError(absl::StrCat(
        "\"", connection.path(),
        "\" is not a file of this program (its SQLite application ID is ",
        *application, ", not ", kSqliteApplicationId,
        "); choose another data directory"));
  }
  const auto newest = static_cast<int64_t>(migrations.size());
  if (*version > newest) {
    return absl::FailedPreconditionError(absl::StrCat(
        "\"", connection.path(), "\" has schema version ", *version,
        ", and this program knows versions up to ", newest,
        "; use the newer version of the program that wrote it"));
  }
  return version;
}

absl::Status MigrateSqlite(SqliteConnection& connection,
                           absl::Span<const std::string_view> migrations) {
  const auto version = SqliteVersion(connection, migrations);
  if (!version.ok()) return version.status();
  const auto newest = static_cast<int64_t>(migrations.size());
  if (*version == newest) return absl::OkStatus();

  std::string script = "BEGIN IMMEDIATE;";
  for (int64_t i = *version; i < newest; ++i) {
    script += migrations[i];
    script += ';';
  }
  absl::StrAppend(&script, "PRAGMA application_id = ", kSqliteApplicationId,
                  ";PRAGMA user_version = ", newest, ";COMMIT");
  absl::Status status = connection.Run(script);
  if (!status.ok()) connection.Run("ROLLBACK").IgnoreError();
  return status;
}

}  // namespace leasehold
