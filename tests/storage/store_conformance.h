// StoreConformance: the fixture of the suite that every Store passes.
//
// Its tests are in store_conformance_test.cc (the effects of changes),
// store_replaced_conformance_test.cc (replaced runs and requests) and
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
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<Store>(const std::string& directory,
                                       const Clock& clock)>
      make;
};

class StoreConformance : public testing::TestWithParam<StoreKind> {
 protected:
  StoreConformance() : store_(GetParam().make(directory_.path(), clock_)) {
    EXPECT_TRUE(store_->Open().ok());
  }

  void Commit(const std::vector<Change>& changes) {
    const absl::Status status = store_->Commit(changes);
    EXPECT_TRUE(status.ok()) << status;
  }

  std::vector<OpenInstance> Open() {
    std::vector<OpenInstance> open;
    const absl::Status status = store_->ReadOpen(
        [&](OpenInstance instance) { open.push_back(std::move(instance)); });
    EXPECT_TRUE(status.ok()) << status;
    return open;
  }

  // The only open instance.
  OpenInstance OnlyOpen() {
    std::vector<OpenInstance> open = Open();
    EXPECT_EQ(open.size(), 1u);
    return open.empty() ? OpenInstance() : open.front();
  }

  std::vector<std::string> History(InstanceNumber number) {
    auto history = store_->ReadHistory(number);
    EXPECT_TRUE(history.ok()) << history.status();
    return history.ok() ? *history : std::vector<std::string>();
  }

  std::optional<InstanceRow> Find(std::string_view tenant,
                                  std::string_view id) {
    auto row = store_->Find(tenant, id);
    EXPECT_TRUE(row.ok()) << row.status();
    return row.ok() ? *row : std::nullopt;
  }

  std::vector<InstanceRow> Replaced(std::string_view tenant,
                                    std::string_view id) {
    auto rows = store_->ReadReplaced(tenant, id);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<InstanceRow>();
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

  std::vector<InstanceRow> Rows(RowQuery query) {
    auto rows = AllRows(*store_, std::move(query));
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<InstanceRow>();
  }

  std::vector<InstanceRow> Finished(FinishedQuery query) {
    auto rows = AllFinished(*store_, std::move(query));
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<InstanceRow>();
  }

  InstanceNumber LastNumber() {
    auto number = store_->ReadLastNumber();
    EXPECT_TRUE(number.ok()) << number.status();
    return number.ok() ? *number : -1;
  }

  SimulatedClock clock_;
  TemporaryDirectory directory_;
  std::unique_ptr<Store> store_;
};

inline InstanceRow Row(InstanceNumber number, std::string id) {
  return {.number = number,
          .tenant = "t",
          .id = std::move(id),
          .status = 1,
          .created = 100 + number,
          .finished = std::nullopt,
          .summary = "summary"};
}

inline InstanceRow FinishedRow(InstanceNumber number, StoredTime finished) {
  InstanceRow row = Row(number, "id-" + std::to_string(number));
  row.finished = finished;
  return row;
}

inline std::vector<InstanceNumber> Numbers(
    const std::vector<InstanceRow>& rows) {
  std::vector<InstanceNumber> numbers;
  for (const InstanceRow& row : rows) numbers.push_back(row.number);
  return numbers;
}

// An instance with one row of everything.
inline std::vector<Change> Everything(InstanceNumber number,
                                      const std::string& id) {
  return {PutInstance{Row(number, id)}, AppendHistory{number, 0, "events"},
          PutMessage{{number, 1, "", "event"}}, PutTimer{{number, 2, 50}},
          PutTask{{number, 3, "task"}}};
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_STORAGE_STORE_CONFORMANCE_H_
