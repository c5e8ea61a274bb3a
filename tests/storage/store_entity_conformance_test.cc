// Entities in the suite for every Store.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/store_conformance.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

EntityRow Entity(std::string id, RunNumber number,
                 std::optional<std::string> state) {
  return {.tenant = "t",
          .id = std::move(id),
          .number = number,
          .modified = 100,
          .header = "header",
          .state = std::move(state)};
}

class StoreEntityConformance : public StoreConformance {
 protected:
  std::optional<EntityRow> Find(const std::string& id) {
    auto row = store_->FindEntity("t", id);
    EXPECT_TRUE(row.ok()) << row.status();
    return row.ok() ? *row : std::nullopt;
  }
  std::vector<AwakeEntity> Awake() {
    std::vector<AwakeEntity> awake;
    const absl::Status status = store_->ReadAwake(
        kOnlyPartition,
        [&](AwakeEntity entity) { awake.push_back(std::move(entity)); });
    EXPECT_TRUE(status.ok()) << status;
    return awake;
  }
  std::vector<std::string> Ids(const EntityQuery& query) {
    std::vector<std::string> ids;
    const auto rows = AllEntities(*store_, query);
    EXPECT_TRUE(rows.ok()) << rows.status();
    if (!rows.ok()) return ids;
    for (const EntityRow& row : *rows) ids.push_back(row.id);
    return ids;
  }
};

TEST_P(StoreEntityConformance, AnEntityIsFoundByItsKey) {
  Commit({PutEntity{Entity("@e@1", 0, "state")}});
  EXPECT_EQ(Find("@e@1"), Entity("@e@1", 0, "state"));
  EXPECT_EQ(Find("@e@2"), std::nullopt);
  EXPECT_EQ(*store_->FindEntity("u", "@e@1"), std::nullopt);
  EXPECT_EQ(StoreConformance::Find("t", "@e@1"), std::nullopt);
}

TEST_P(StoreEntityConformance, AnEmptyStateIsAState) {
  Commit({PutEntity{Entity("@e@1", 0, "")}});
  EXPECT_EQ(Find("@e@1"), Entity("@e@1", 0, ""));
}

TEST_P(StoreEntityConformance, OneThatIsAsleepWithoutAStateHasNoRow) {
  Commit({PutEntity{Entity("@e@1", 0, std::nullopt)}});
  EXPECT_EQ(Find("@e@1"), std::nullopt);
  Commit({PutEntity{Entity("@e@1", 5, std::nullopt)}});
  EXPECT_EQ(Find("@e@1"), Entity("@e@1", 5, std::nullopt));
  Commit({TouchEntity{Entity("@e@1", 0, "ignored")}});
  EXPECT_EQ(Find("@e@1"), std::nullopt);
}

TEST_P(StoreEntityConformance, ATouchKeepsTheStateAndItsTime) {
  Commit({PutEntity{Entity("@e@1", 0, "state")}});
  EntityRow touched = Entity("@e@1", 7, "another");
  touched.modified = 200;
  touched.header = "new";
  Commit({TouchEntity{touched}});
  touched.modified = 100;
  touched.state = "state";
  EXPECT_EQ(Find("@e@1"), touched);
}

TEST_P(StoreEntityConformance, ATouchCreatesOneWithoutAState) {
  Commit({TouchEntity{Entity("@e@1", 7, "ignored")}});
  EXPECT_EQ(Find("@e@1"), Entity("@e@1", 7, std::nullopt));
}

TEST_P(StoreEntityConformance, OnlyThoseThatAreAwakeAreReadAtTheStart) {
  Commit({PutEntity{Entity("@e@1", 8, "state")},
          PutEntity{Entity("@e@2", 0, "state")},
          PutEntity{Entity("@e@3", 7, std::nullopt)}, PutOperation{{8, 2, "b"}},
          PutOperation{{8, 1, "a"}}});
  const std::vector<AwakeEntity> awake = Awake();
  ASSERT_EQ(awake.size(), 2u);
  EXPECT_EQ(awake[0].row, Entity("@e@3", 7, std::nullopt));
  EXPECT_THAT(awake[0].operations, IsEmpty());
  EXPECT_EQ(awake[1].row, Entity("@e@1", 8, std::nullopt));
  EXPECT_THAT(awake[1].operations,
              ElementsAre(OperationRow{8, 1, "a"}, OperationRow{8, 2, "b"}));
  EXPECT_EQ(*store_->ReadLastNumber(kOnlyPartition), 8);
}

TEST_P(StoreEntityConformance, OperationsAreDroppedOneByOne) {
  Commit({PutEntity{Entity("@e@1", 8, "state")}, PutOperation{{8, 1, "a"}},
          PutOperation{{8, 2, "b"}}, PutOperation{{8, 2, "c"}}});
  Commit({DropOperation{8, 1}, DropOperation{8, 9}, DropOperation{9, 2}});
  EXPECT_THAT(Awake().at(0).operations, ElementsAre(OperationRow{8, 2, "c"}));
}

TEST_P(StoreEntityConformance, OperationsOfNobodyAreDropped) {
  Commit({PutOperation{{8, 1, "a"}}, PutOperation{{0, 1, "a"}}});
  Commit({PutEntity{Entity("@e@1", 8, "state")}});
  EXPECT_THAT(Awake().at(0).operations, IsEmpty());
}

TEST_P(StoreEntityConformance, OperationsGoWithTheNumberOfTheirEntity) {
  Commit({PutEntity{Entity("@e@1", 8, "state")}, PutOperation{{8, 1, "a"}}});
  Commit({TouchEntity{Entity("@e@1", 0, "")}});
  EXPECT_THAT(Awake(), IsEmpty());
  Commit({TouchEntity{Entity("@e@1", 8, "")}});
  EXPECT_THAT(Awake().at(0).operations, IsEmpty());
}

TEST_P(StoreEntityConformance, AnErasedEntityHasNothing) {
  Commit({PutEntity{Entity("@e@1", 8, "state")}, PutOperation{{8, 1, "a"}},
          PutEntity{Entity("@e@2", 9, "state")}, PutOperation{{9, 1, "a"}}});
  Commit({EraseEntity{"t", "@e@1"}, EraseEntity{"u", "@e@2"}});
  EXPECT_EQ(Find("@e@1"), std::nullopt);
  ASSERT_EQ(Awake().size(), 1u);
  EXPECT_THAT(Awake().at(0).operations, ElementsAre(OperationRow{9, 1, "a"}));
}

TEST_P(StoreEntityConformance, ATenantIsErasedWithItsEntities) {
  Commit({PutEntity{Entity("@e@1", 8, "state")}, PutOperation{{8, 1, "a"}},
          EraseTenant{"t"}});
  EXPECT_EQ(Find("@e@1"), std::nullopt);
  EXPECT_THAT(Awake(), IsEmpty());
}

TEST_P(StoreEntityConformance, AQueryHoldsAllConditionsAtOnce) {
  const auto put = [&](std::string id, StoredTime modified,
                       std::optional<std::string> state) {
    EntityRow row = Entity(std::move(id), state.has_value() ? 0 : modified,
                           std::move(state));
    row.modified = modified;
    Commit({PutEntity{row}});
  };
  put("@b@1", 10, "state");
  put("@a@2", 20, "state");
  put("@a@1", 30, "state");
  put("@a@3", 40, std::nullopt);
  EXPECT_THAT(Ids({.tenant = "t"}), ElementsAre("@a@1", "@a@2", "@b@1"));
  EXPECT_THAT(Ids({.tenant = "t", .with_stateless = true}),
              ElementsAre("@a@1", "@a@2", "@a@3", "@b@1"));
  EXPECT_THAT(Ids({.tenant = "t", .with_stateless = true, .count_max = 1}),
              ElementsAre("@a@1", "@a@2", "@a@3", "@b@1"));
  EXPECT_THAT(Ids({.tenant = "t", .id_prefix = "@a@"}),
              ElementsAre("@a@1", "@a@2"));
  EXPECT_THAT(Ids({.tenant = "t", .modified_from = 20, .modified_to = 30}),
              ElementsAre("@a@2"));
  EXPECT_THAT(Ids({.tenant = "t", .after = "@a@1"}),
              ElementsAre("@a@2", "@b@1"));
  EXPECT_THAT(Ids({.tenant = "u"}), IsEmpty());
  const auto without = store_->QueryEntities({.tenant = "t"});
  EXPECT_EQ(without->rows.at(0).state, std::nullopt);
  const auto with = store_->QueryEntities({.tenant = "t", .with_state = true});
  EXPECT_EQ(with->rows.at(0).state, "state");
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreEntityConformance,
                         testing::ValuesIn(StoreKinds()),
                         [](const testing::TestParamInfo<StoreKind>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace leasehold
