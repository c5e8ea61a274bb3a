#include "service/storage/sqlite_schema.h"

#include <array>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

// Columns that conditions are about stand first: a row is read from its
// beginning, and a long summary lies on pages of its own.
constexpr std::array<std::string_view, 2> kMigrations = {
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

int64_t SqliteKeyHash(std::string_view tenant, std::string_view id) {
  uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](unsigned char byte) {
    hash = (hash ^ byte) * 0x100000001b3;
  };
  for (int shift = 0; shift < 64; shift += 8) add(tenant.size() >> shift);
  for (const char c : tenant) add(c);
  for (const char c : id) add(c);
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return static_cast<int64_t>(hash ^ (hash >> 33));
}

}  // namespace leasehold
