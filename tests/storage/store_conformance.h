// StoreConformance: the fixture of the suite that every Store passes.
//
// Its tests are in store_conformance_test.cc (the effects of changes),
// store_commit_conformance_test.cc (partitions, outcomes and outboxes),
// store_replaced_conformance_test.cc (replaced runs and requests),
// store_entity_conformance_test.cc (entities),
// store_erase_tenant_conformance_test.cc (what is erased with a tenant),
// store_newest_conformance_test.cc (lists with the newest first, counts) and
// store_query_conformance_test.cc (queries, and random changes). The name of
// the test contains the store's name.
//
// Thread-safety: one thread.   Lifetime: a test's.
#ifndef LEASEHOLD_TESTS_STORAGE_STORE_CONFORMANCE_H_
#define LEASEHOLD_TESTS_STORAGE_STORE_CONFORMANCE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "service/storage/store.h"
#include "tests/storage/store_dump.h"
#include "tests/support/partition_writer.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<Store>(const std::string& directory,
                                       const Clock& clock)>
      make;
};

// Every kind of store.
std::vector<StoreKind> StoreKinds();

class StoreConformance : public testing::TestWithParam<StoreKind> {
 protected:
  StoreConformance() : store_(GetParam().make(directory_.path(), clock_)) {
    EXPECT_TRUE(writer_.Open(*store_).ok());
  }

  void Commit(const std::vector<Change>& changes, const Fence& fence) {
    const absl::Status status = store_->Commit({fence}, changes).status();
    EXPECT_TRUE(status.ok()) << status;
  }
  void Commit(const std::vector<Change>& changes) {
    const absl::Status status = writer_.Commit(*store_, changes);
    EXPECT_TRUE(status.ok()) << status;
  }

  // Erases all of these tenants, and what partitions 0 and 1 have to tell.
  void Clear(const std::vector<std::string>& tenants) {
    std::vector<Change> changes;
    for (const std::string& tenant : tenants) {
      changes.push_back(EraseTenant{tenant});
    }
    for (const PartitionId source : {0, 1}) {
      const auto rows = store_->ReadOutbox(source);
      ASSERT_TRUE(rows.ok()) << rows.status();
      for (const OutboxRow& row : *rows) {
        changes.push_back(TakeOutbox{{row.source, row.ordinal}});
      }
    }
    Commit(changes);
  }

  std::vector<OpenRun> Open() {
    std::vector<OpenRun> open;
    const absl::Status status = store_->ReadOpen(
        kOnlyPartition,
        [&](OpenRun instance) { open.push_back(std::move(instance)); });
    EXPECT_TRUE(status.ok()) << status;
    return open;
  }

  // The only open instance.
  OpenRun OnlyOpen() {
    std::vector<OpenRun> open = Open();
    EXPECT_EQ(open.size(), 1u);
    return open.empty() ? OpenRun() : open.front();
  }

  std::vector<std::string> History(RunNumber number) {
    auto history = store_->ReadHistory(number);
    EXPECT_TRUE(history.ok()) << history.status();
    return history.ok() ? *history : std::vector<std::string>();
  }

  std::optional<RunRow> Find(std::string_view tenant, std::string_view id) {
    auto row = store_->Find(tenant, id);
    EXPECT_TRUE(row.ok()) << row.status();
    return row.ok() ? *row : std::nullopt;
  }

  std::vector<RunRow> Replaced(std::string_view tenant, std::string_view id) {
    auto rows = store_->ReadReplaced(tenant, id);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<RunRow>();
  }

  std::optional<RequestRow> Request(std::string_view tenant,
                                    std::string_view request) {
    auto row = store_->FindRequest(tenant, request);
    EXPECT_TRUE(row.ok()) << row.status();
    return row.ok() ? *row : std::nullopt;
  }

  std::optional<std::string> Setting(std::string_view name) {
    auto value = store_->ReadSetting(name);
    EXPECT_TRUE(value.ok()) << value.status();
    return value.ok() ? *value : std::nullopt;
  }

  std::vector<RunRow> Rows(RowQuery query) {
    auto rows = AllRows(*store_, std::move(query));
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<RunRow>();
  }

  std::vector<RunRow> Finished(FinishedQuery query) {
    auto rows = AllFinished(*store_, std::move(query));
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<RunRow>();
  }

  RunNumber LastNumber() {
    auto number = store_->ReadLastNumber(kOnlyPartition);
    EXPECT_TRUE(number.ok()) << number.status();
    return number.ok() ? *number : -1;
  }

  SimulatedClock clock_;
  TemporaryDirectory directory_;
  std::unique_ptr<Store> store_;
  PartitionWriter writer_;
};

inline RunRow Row(RunNumber number, std::string id) {
  return {.number = number,
          .tenant = "t",
          .id = std::move(id),
          .status = 1,
          .created = 100 + number,
          .finished = std::nullopt,
          .summary = "summary"};
}

inline RunRow FinishedRow(RunNumber number, StoredTime finished) {
  RunRow row = Row(number, "id-" + std::to_string(number));
  row.finished = finished;
  return row;
}

inline std::vector<RunNumber> Numbers(const std::vector<RunRow>& rows) {
  std::vector<RunNumber> numbers;
  for (const RunRow& row : rows) numbers.push_back(row.number);
  return numbers;
}

// An instance with one row of everything.
inline std::vector<Change> Everything(RunNumber number, const std::string& id) {
  return {PutRun{Row(number, id)}, AppendHistory{number, 0, "events"},
          PutMessage{{number, 1, "", "event"}}, PutTimer{{number, 2, 50}},
          PutTask{{number, 3, "task"}}};
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_STORAGE_STORE_CONFORMANCE_H_
