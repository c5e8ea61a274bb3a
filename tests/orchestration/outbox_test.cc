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

TEST(Outbox, EachKindSaysWhatItsMessageSaid) {
  using Kind = OutboxMessage::Kind;
  Outbox outbox;
  ExecutionStarted start;
  start.name = "Child";
  start.parent = ParentLink{7, "Main", std::nullopt, {"parent", "second"}};
  OutboxMessage rewind = Message();
  rewind.kind = Kind::kRewind;
  rewind.event.body = start;
  OutboxMessage terminate = Message();
  terminate.kind = Kind::kTerminate;
  terminate.event.body = ExecutionTerminated{"why", true};
  const OutboxMessage purge{{.tenant = "t", .id = "a"}, "", {}, Kind::kPurge};
  for (const OutboxMessage& message : {rewind, terminate, purge}) {
    const auto read = Outbox::Read(outbox.MakeRow(0, message));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->kind, message.kind);
    EXPECT_EQ(read->to, message.to);
    if (message.kind == Kind::kPurge) continue;
    EXPECT_EQ(EncodeEvent(read->event), EncodeEvent(message.event));
  }
}

// The numbers and fields are in files: field 1 tenant, 2 ID, 4 event, 5 kind,
// 6 the event of another kind than kEvent.
TEST(Outbox, RowsOfFormerAndFutureProgramsAreKnown) {
  const std::string event = EncodeEvent(Message().event);
  const auto size = [](const std::string& bytes) {
    return static_cast<char>(bytes.size());
  };
  const std::string to =
      "\x0a\x01t\x12\x01"
      "a";
  const auto former = Outbox::Read({.body = to + '\x22' + size(event) + event});
  ASSERT_TRUE(former.has_value());
  EXPECT_EQ(former->kind, OutboxMessage::Kind::kEvent);
  EXPECT_EQ(former->to, Message().to);
  EXPECT_EQ(EncodeEvent(former->event), event);
  const auto purge = Outbox::Read({.body = to + "\x28\x03"});
  ASSERT_TRUE(purge.has_value());
  EXPECT_EQ(purge->kind, OutboxMessage::Kind::kPurge);
  // A kind that is not known, and known ones without what belongs to them.
  for (const char* kind : {"\x28\x04", "\x28\x01", "\x28\x02"}) {
    EXPECT_FALSE(Outbox::Read({.body = to + kind}).has_value());
    EXPECT_FALSE(
        Outbox::Read({.body = to + kind + '\x32' + size(event) + event})
            .has_value());
  }
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
