#include "tests/support/power_vfs.h"

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::AnyOf;
using testing::Contains;

// A file of the VFS, used as SQLite would use it.
class RawFile {
 public:
  RawFile(PowerVfs& vfs, const char* path) {
    sqlite3_vfs* const base = sqlite3_vfs_find(vfs.name().c_str());
    memory_.resize(static_cast<size_t>(base->szOsFile));
    EXPECT_EQ(base->xOpen(base, path, file(),
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr),
              SQLITE_OK);
  }
  ~RawFile() { file()->pMethods->xClose(file()); }

  int Write(const std::string& data, int64_t offset) {
    return file()->pMethods->xWrite(file(), data.data(),
                                    static_cast<int>(data.size()), offset);
  }
  int Truncate(int64_t size) {
    return file()->pMethods->xTruncate(file(), size);
  }
  int Sync() { return file()->pMethods->xSync(file(), SQLITE_SYNC_NORMAL); }

 private:
  sqlite3_file* file() {
    return reinterpret_cast<sqlite3_file*>(memory_.data());
  }

  std::vector<char> memory_;
};

// The outcomes of power losses after `body`: one per seed.
std::set<std::string> Outcomes(
    const std::function<void(PowerVfs& vfs, RawFile& file)>& body) {
  std::set<std::string> outcomes;
  ForEachSeed(100, [&](Random& random) {
    PowerVfs vfs;
    RawFile file(vfs, "f");
    body(vfs, file);
    vfs.PowerLoss(random);
    outcomes.insert(vfs.Contents("f").value_or("(gone)"));
  });
  return outcomes;
}

TEST(PowerVfs, WhatWasSyncedStays) {
  EXPECT_THAT(Outcomes([](PowerVfs&, RawFile& file) {
                file.Write("hello", 0);
                file.Sync();
              }),
              testing::ElementsAre("hello"));
}

TEST(PowerVfs, WhatWasNotSyncedMayBeLostOrKept) {
  EXPECT_THAT(Outcomes([](PowerVfs&, RawFile& file) {
                file.Write("old", 0);
                file.Sync();
                file.Write("new!", 0);
              }),
              testing::UnorderedElementsAre("old", "new!"));
}

TEST(PowerVfs, NewFileThatWasNotSyncedMayBeGone) {
  EXPECT_THAT(
      Outcomes([](PowerVfs&, RawFile& file) { file.Write("hello", 0); }),
      testing::UnorderedElementsAre("(gone)", "", "hello"));
}

TEST(PowerVfs, LaterWriteMayBeKeptWithoutTheEarlierOne) {
  const std::string a(512, 'a');
  const std::string b(512, 'b');
  const std::string nothing(512, '\0');
  const auto outcomes = Outcomes([&](PowerVfs&, RawFile& file) {
    file.Sync();
    file.Write(a, 0);
    file.Write(b, 512);
  });
  EXPECT_EQ(outcomes, (std::set<std::string>{"", a, a + b, nothing + b}));
}

TEST(PowerVfs, WriteTearsBetweenSectorsAndNowhereElse) {
  const std::string a(1024, 'a');
  const std::string b(1024, 'b');
  const auto outcomes = Outcomes([&](PowerVfs&, RawFile& file) {
    file.Write(a, 0);
    file.Sync();
    file.Write(b, 0);
  });
  EXPECT_EQ(outcomes, (std::set<std::string>{
                          a, b, std::string(512, 'a') + std::string(512, 'b'),
                          std::string(512, 'b') + std::string(512, 'a')}));
}

TEST(PowerVfs, TruncationMayBeUndone) {
  EXPECT_THAT(Outcomes([](PowerVfs&, RawFile& file) {
                file.Write("hello", 0);
                file.Sync();
                file.Truncate(1);
              }),
              testing::UnorderedElementsAre("hello", "h"));
}

TEST(PowerVfs, SyncThatFailedIsNotMadeGoodByTheNext) {
  EXPECT_THAT(Outcomes([](PowerVfs& vfs, RawFile& file) {
                file.Write("old", 0);
                file.Sync();
                file.Write("new", 0);
                vfs.FailSync(0);
                EXPECT_EQ(file.Sync(), SQLITE_IOERR_FSYNC);
                EXPECT_EQ(file.Sync(), SQLITE_OK);
              }),
              testing::UnorderedElementsAre("old", "new"));
}

TEST(PowerVfs, WritingAgainMakesAFailedSyncGood) {
  EXPECT_THAT(Outcomes([](PowerVfs& vfs, RawFile& file) {
                file.Write("old", 0);
                file.Sync();
                file.Write("new", 0);
                vfs.FailSync(0);
                file.Sync();
                file.Write("new", 0);
                file.Sync();
              }),
              testing::ElementsAre("new"));
}

TEST(PowerVfs, DeletedFileMayBeBackUnlessTheDirectoryWasSynced) {
  for (const int sync_directory : {0, 1}) {
    const auto outcomes = Outcomes([&](PowerVfs& vfs, RawFile& file) {
      file.Write("hello", 0);
      file.Sync();
      sqlite3_vfs* const base = sqlite3_vfs_find(vfs.name().c_str());
      EXPECT_EQ(base->xDelete(base, "f", sync_directory), SQLITE_OK);
      EXPECT_EQ(vfs.Contents("f"), std::nullopt);
    });
    EXPECT_EQ(outcomes.count("hello"), sync_directory == 0 ? 1u : 0u);
    EXPECT_EQ(outcomes.count("(gone)"), 1u);
  }
}

TEST(PowerVfs, OpenFilesAreDeadAfterALossOfPower) {
  Random random(BaseSeed());
  PowerVfs vfs;
  RawFile file(vfs, "f");
  file.Write("hello", 0);
  file.Sync();
  vfs.PowerLoss(random);
  EXPECT_EQ(file.Write("HELLO", 0), SQLITE_IOERR_WRITE);
  EXPECT_EQ(file.Sync(), SQLITE_IOERR_FSYNC);
  RawFile again(vfs, "f");
  EXPECT_EQ(again.Write("j", 0), SQLITE_OK);
  EXPECT_EQ(vfs.Contents("f"), "jello");
}

TEST(PowerVfs, FullDiskTakesWhatNeedsNoRoom) {
  PowerVfs vfs;
  RawFile file(vfs, "f");
  vfs.FillUp(4);
  EXPECT_EQ(file.Write("abcde", 0), SQLITE_FULL);
  EXPECT_EQ(file.Write("abcd", 0), SQLITE_OK);
  EXPECT_EQ(file.Write("x", 4), SQLITE_FULL);
  EXPECT_EQ(file.Write("x", 3), SQLITE_OK);
  file.Truncate(2);
  EXPECT_EQ(file.Write("xy", 2), SQLITE_OK);
  vfs.FillUp(std::nullopt);
  EXPECT_EQ(file.Write("more", 4), SQLITE_OK);
}

TEST(PowerVfs, FailureThatBeganLastsUntilItIsEnded) {
  PowerVfs vfs;
  RawFile file(vfs, "f");
  vfs.FailFrom(1);
  EXPECT_EQ(file.Write("a", 0), SQLITE_OK);
  EXPECT_EQ(file.Write("b", 0), SQLITE_IOERR_WRITE);
  EXPECT_EQ(file.Sync(), SQLITE_IOERR_FSYNC);
  vfs.FailFrom(std::nullopt);
  EXPECT_EQ(file.Write("c", 0), SQLITE_OK);
}

// ---- SQLite itself ----------------------------------------------------------

// A database with a write-ahead log whose one table contains the numbers of the
// transactions so far, several times each.
class PlainDatabase {
 public:
  PlainDatabase(PowerVfs& vfs, const std::string& synchronous) {
    EXPECT_EQ(sqlite3_open_v2("plain.db", &db_,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              vfs.name().c_str()),
              SQLITE_OK);
    // Until there is a log, SQLite uses a journal, and FULL does not sync the
    // directory when that is deleted: it may come back and undo everything.
    Run("PRAGMA synchronous=EXTRA; PRAGMA journal_mode=WAL");
    Run(absl::StrCat("PRAGMA synchronous=", synchronous));
    Run("PRAGMA wal_autocheckpoint=20");
  }
  ~PlainDatabase() { sqlite3_close(db_); }

  bool Run(const std::string& sql) {
    return sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) ==
           SQLITE_OK;
  }

  std::string Ask(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr);
    std::string answer = "no answer";
    if (statement != nullptr && sqlite3_step(statement) == SQLITE_ROW) {
      answer = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    } else {
      answer = sqlite3_errmsg(db_);
    }
    sqlite3_finalize(statement);
    return answer;
  }

  // One transaction of three rows of some size.
  bool Add(int64_t number, Random& random) {
    std::string sql = "BEGIN IMMEDIATE;";
    for (int i = 0; i < 3; ++i) {
      absl::StrAppend(&sql, "INSERT INTO t VALUES (", number, ", ",
                      random() >> 1, ", zeroblob(", Uniform(random, 0, 3000),
                      "));");
    }
    return Run(sql + "COMMIT");
  }

  // A short description of the contents; of the first `n` transactions.
  std::string State() {
    return absl::StrCat(Ask("PRAGMA integrity_check"), ", ",
                        Ask("SELECT count(*) || ' rows, ' || "
                            "coalesce(max(number), 0) || ' transactions' "
                            "FROM t"));
  }

 private:
  sqlite3* db_ = nullptr;
};

std::string Whole(int64_t transactions) {
  return absl::StrCat("ok, ", 3 * transactions, " rows, ", transactions,
                      " transactions");
}

// Loses power several times between and inside transactions, and checks the
// acknowledged ones. Returns what is wrong; empty: nothing.
std::string FindLoss(const std::string& synchronous, Random& random) {
  PowerVfs vfs;
  {
    PlainDatabase database(vfs, synchronous);
    database.Run("CREATE TABLE t (number, key UNIQUE, filler)");
  }
  int64_t acknowledged = 0;
  for (int life = 0; life < 4; ++life) {
    PlainDatabase database(vfs, synchronous);
    const std::string state = database.State();
    if (state == Whole(acknowledged + 1) && life > 0) {
      ++acknowledged;  // The interrupted one: it may be there, as a whole.
    } else if (state != Whole(acknowledged)) {
      return absl::StrCat("after ", acknowledged, " transactions: ", state);
    }
    for (uint64_t i = Uniform(random, 0, 30); i > 0; --i) {
      if (!database.Add(acknowledged + 1, random)) return "cannot write";
      ++acknowledged;
    }
    if (OneIn(random, 2)) {
      vfs.FailFrom(static_cast<int64_t>(Uniform(random, 0, 12)));
      while (database.Add(acknowledged + 1, random)) ++acknowledged;
    }
    vfs.PowerLoss(random);
  }
  return "";
}

TEST(PowerVfs, SqliteWithFullSyncLosesNothing) {
  ForEachSeed(300,
              [](Random& random) { EXPECT_EQ(FindLoss("FULL", random), ""); });
}

// The same check finds the losses without those syncs: otherwise it would prove
// nothing.
TEST(PowerVfs, SqliteWithNormalSyncIsFoundLosing) {
  std::set<std::string> findings;
  ForEachSeed(300, [&](Random& random) {
    findings.insert(FindLoss("NORMAL", random));
  });
  findings.erase("");
  EXPECT_FALSE(findings.empty());
  // Only the latest ones are lost.
  for (const std::string& finding : findings) {
    EXPECT_THAT(finding, testing::HasSubstr(": ok, "));
  }
}

TEST(PowerVfs, SqliteWithoutSyncIsFoundLosing) {
  std::set<std::string> findings;
  ForEachSeed(
      300, [&](Random& random) { findings.insert(FindLoss("OFF", random)); });
  findings.erase("");
  EXPECT_FALSE(findings.empty());
}

}  // namespace
}  // namespace leasehold
