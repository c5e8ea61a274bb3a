// Calls of entities in the suite for every Store.
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

CallRow Call(std::string request, StoredTime ended) {
  return {.tenant = "t",
          .request = std::move(request),
          .ended = ended,
          .fingerprint = -7,
          .id = "@e@1",
          .outcome = "outcome"};
}

class StoreCallConformance : public StoreConformance {
 protected:
  std::vector<std::string> Requests() {
    std::vector<std::string> requests;
    const absl::Status status =
        store_->ReadCalls(kOnlyPartition, [&](CallMark mark) {
          EXPECT_EQ(mark.bytes, std::string("outcome").size());
          requests.push_back(mark.request);
        });
    EXPECT_TRUE(status.ok()) << status;
    return requests;
  }
};

TEST_P(StoreCallConformance, ACallIsFoundByItsRequest) {
  Commit({PutCall{Call("r", 5)}});
  EXPECT_EQ(*store_->FindCall("t", "r"), Call("r", 5));
  EXPECT_EQ(*store_->FindCall("t", "s"), std::nullopt);
  EXPECT_EQ(*store_->FindCall("u", "r"), std::nullopt);
  EXPECT_EQ(*store_->FindRequest("t", "r"), std::nullopt);
}

TEST_P(StoreCallConformance, CallsAreReadInTheOrderInWhichTheyWerePut) {
  Commit({PutCall{Call("b", 9)}, PutCall{Call("a", 1)}, PutCall{Call("c", 5)}});
  EXPECT_THAT(Requests(), ElementsAre("b", "a", "c"));
  // The later of two is another one, at the end.
  Commit({PutCall{Call("b", 3)}});
  EXPECT_THAT(Requests(), ElementsAre("a", "c", "b"));
  EXPECT_EQ(*store_->FindCall("t", "b"), Call("b", 3));
  int others = 0;
  EXPECT_TRUE(store_->ReadCalls(1, [&](const CallMark&) { ++others; }).ok());
  EXPECT_EQ(others, 0);
}

TEST_P(StoreCallConformance, CallsAreDroppedOneByOneOrAllTogether) {
  Commit({PutCall{Call("a", 1)}, PutCall{Call("b", 2)}, PutCall{Call("c", 3)}});
  Commit({DropCall{"t", "b"}, DropCall{"t", "none"}, DropCall{"u", "a"}});
  EXPECT_THAT(Requests(), ElementsAre("a", "c"));
  Commit({EraseTenant{"u"}});
  EXPECT_THAT(Requests(), ElementsAre("a", "c"));
  Commit({EraseTenant{"t"}});
  EXPECT_THAT(Requests(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreCallConformance,
                         testing::ValuesIn(StoreKinds()),
                         [](const testing::TestParamInfo<StoreKind>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace leasehold
