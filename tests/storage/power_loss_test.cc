// What SqliteStore reports as durable survives a loss of power; so does what it
// reports after a failure and reopening. With less durability the same check
// finds the losses.
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/storage/sqlite_store.h"
#include "tests/storage/store_dump.h"
#include "tests/storage/store_model.h"
#include "tests/support/partition_writer.h"
#include "tests/support/power_vfs.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {
namespace {

// A store on a disk that loses power, and what it should contain.
class World {
 public:
  World(Durability durability, Random& random)
      : durability_(durability), random_(random) {}

  // The machine starts. Returns what is wrong; empty: nothing.
  std::string Start() {
    store_ = std::make_unique<SqliteStore>(
        SqliteStoreOptions{.directory = "data",
                           .durability = durability_,
                           .readers = 1,
                           .vfs = vfs_.name()},
        clock_);
    return OpenAndCompare();
  }

  // Commits until one fails, or `count` have succeeded.
  void Commit(uint64_t count) {
    for (; count > 0 && !cut_; --count) {
      StoreModel after = model_;
      std::vector<Change> batch;
      for (uint64_t i = Uniform(random_, 1, 6); i > 0; --i) {
        const std::vector<Change> step =
            after.RandomStep(random_, next_number_);
        after.Commit(step);
        batch.insert(batch.end(), step.begin(), step.end());
      }
      const CommitResult result = writer_.Try(*store_, batch);
      // What was refused is not there, whatever happens to the disk.
      if (result.known_not_committed()) {
        cut_ = model_;
      } else {
        (result.done() ? model_ : cut_.emplace()) = std::move(after);
      }
    }
  }

  // Something fails while the machine keeps running, and then works again.
  std::string Fail() {
    if (OneIn(random_, 2)) {
      vfs_.FailSync(static_cast<int64_t>(Uniform(random_, 0, 5)));
      Commit(8);
    } else {
      vfs_.FailFrom(static_cast<int64_t>(Uniform(random_, 0, 20)));
      Commit(30);
      if (OneIn(random_, 2))
        writer_.Open(*store_).IgnoreError();  // It may fail.
      vfs_.FailFrom(std::nullopt);
    }
    return OpenAndCompare();
  }

  void LosePower() {
    if (OneIn(random_, 2)) {  // During a commit.
      vfs_.FailFrom(static_cast<int64_t>(Uniform(random_, 0, 20)));
      Commit(30);
    }
    vfs_.PowerLoss(random_);
    store_.reset();
  }

 private:
  // Committed batches are there; the interrupted one is there or not, as a
  // whole.
  std::string OpenAndCompare() {
    const absl::Status opened = writer_.Open(*store_);
    if (!opened.ok()) return absl::StrCat("cannot open: ", opened.ToString());
    const auto dump = Dump(*store_, StoreModel::Tenants(), StoreModel::Names());
    if (!dump.ok())
      return absl::StrCat("cannot read: ", dump.status().ToString());
    if (cut_ && *dump == cut_->Dump()) model_ = *std::move(cut_);
    cut_.reset();
    if (*dump == model_.Dump()) return "";
    return absl::StrCat("it holds\n", absl::StrJoin(*dump, "\n"),
                        "\nand should hold\n",
                        absl::StrJoin(model_.Dump(), "\n"));
  }

  const Durability durability_;
  Random& random_;
  SimulatedClock clock_;
  PowerVfs vfs_;
  std::unique_ptr<SqliteStore> store_;
  PartitionWriter writer_;
  RunNumber next_number_ = 1;
  StoreModel model_;               // All that was acknowledged or found.
  std::optional<StoreModel> cut_;  // Including the failed batch.
};

// Several lives of a machine. Returns what is wrong; empty: nothing.
std::string FindLoss(Durability durability, Random& random) {
  World world(durability, random);
  for (int life = 0; life < 4; ++life) {
    std::string wrong = world.Start();
    if (!wrong.empty()) return wrong;
    world.Commit(Uniform(random, 0, 12));
    if (OneIn(random, 2)) wrong = world.Fail();
    if (!wrong.empty()) return "after a failure: " + wrong;
    world.Commit(Uniform(random, 0, 3));
    world.LosePower();
  }
  return world.Start();
}

TEST(PowerLoss, FullDurabilityLosesNothingThatWasAcknowledged) {
  ForEachSeed(300, [](Random& random) {
    EXPECT_EQ(FindLoss(Durability::kFull, random), "");
  });
}

TEST(PowerLoss, NormalDurabilityIsFoundLosing) {
  std::set<std::string> findings;
  ForEachSeed(300, [&](Random& random) {
    findings.insert(FindLoss(Durability::kNormal, random));
  });
  findings.erase("");
  EXPECT_FALSE(findings.empty());
  // But the remaining data can be read.
  for (const std::string& finding : findings) {
    EXPECT_THAT(finding, testing::Not(testing::HasSubstr("cannot")));
  }
}

TEST(PowerLoss, NoDurabilityIsFoundLosing) {
  std::set<std::string> findings;
  ForEachSeed(300, [&](Random& random) {
    findings.insert(FindLoss(Durability::kOff, random));
  });
  findings.erase("");
  EXPECT_FALSE(findings.empty());
}

}  // namespace
}  // namespace leasehold
