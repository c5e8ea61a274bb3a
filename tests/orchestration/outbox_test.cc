#include "service/orchestration/outbox.h"

#include "gtest/gtest.h"

namespace leasehold {
namespace {

OutboxMessage Message() {
  return {{.tenant = "t", .id = "a"},
          "execution",
          {HistoryEvent::kFromOutside, {5, 6}, EventRaised{"name", "input"}}};
}

TEST(Outbox, RowSaysWhatItsMessageSaid) {
  Outbox outbox;
  outbox.Begin({2, 3});
  const OutboxRow row = outbox.MakeRow(7, Message());
  EXPECT_EQ(row.source, 2);
  EXPECT_EQ(row.target, 7);
  const auto read = Outbox::Read(row);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->to, Message().to);
  EXPECT_EQ(read->execution_id, "execution");
  EXPECT_EQ(EncodeEvent(read->event), EncodeEvent(Message().event));
}

TEST(Outbox, OrdinalsIncreaseAndAreNeverUsedTwice) {
  Outbox outbox;
  int64_t last = 0;
  for (Epoch epoch = 1; epoch < 4; ++epoch) {
    outbox.Begin({0, epoch});
    for (int i = 0; i < 3; ++i) {
      const int64_t ordinal = outbox.MakeRow(0, Message()).ordinal;
      EXPECT_GT(ordinal, last);
      last = ordinal;
    }
  }
}

TEST(Outbox, RowThatIsDamagedOrNoneOfOursIsNotRead) {
  Outbox outbox;
  OutboxRow row = outbox.MakeRow(0, Message());
  row.damaged = true;
  EXPECT_FALSE(Outbox::Read(row).has_value());
  EXPECT_FALSE(Outbox::Read({.body = "\xff\xff"}).has_value());
  EXPECT_FALSE(Outbox::Read({.body = ""}).has_value());
}

}  // namespace
}  // namespace leasehold
