// FakeItem: work as a worker is sent it, read from its wire form.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_TESTS_ORCHESTRATION_FAKE_ITEM_H_
#define LEASEHOLD_TESTS_ORCHESTRATION_FAKE_ITEM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "service/orchestration/history.h"
#include "service/orchestration/wire.h"
#include "service/orchestration/work_exchange.h"
#include "tests/support/test_key.h"

namespace leasehold {

struct FakeItem {
  WorkKind kind = WorkKind::kTurn;
  std::string tenant{kTestTenant};  // Of the worker.
  std::string token = {};
  std::string instance_id = {};
  std::string execution_id = {};
  // Of a turn; the events of a batch are its operations.
  bool past_is_streamed = false;
  std::vector<HistoryEvent> past = {};
  std::vector<HistoryEvent> events = {};
  // Of a batch.
  Payload state = {};
  // Of an activity.
  std::string name = {};
  std::string version = {};
  Payload input = {};
  int32_t id = 0;

  WorkName work_name() const { return {.token = token, .key = {tenant}}; }
};

inline std::string ValueOf(std::string_view string_value) {
  Payload value;
  WireReader reader(string_value);
  while (reader.Next()) {
    if (reader.field() == 1) value = std::string(reader.bytes());
  }
  return value.value_or("");
}

inline void ParseBatch(std::string_view bytes, FakeItem& item) {
  item.kind = WorkKind::kEntity;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) item.instance_id = reader.bytes();
    if (reader.field() == 3) item.state = ValueOf(reader.bytes());
    if (reader.field() == 4)
      item.events.push_back(*DecodeEvent(reader.bytes()));
  }
}

inline FakeItem ParseItem(std::string_view bytes) {
  FakeItem item;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 10) item.token = reader.bytes();
    if (reader.field() == 5) ParseBatch(reader.bytes(), item);
    if (reader.field() > 2) continue;
    item.kind = reader.field() == 1 ? WorkKind::kTurn : WorkKind::kActivity;
    WireReader inner(reader.bytes());
    while (inner.Next()) {
      if (item.kind == WorkKind::kTurn) {
        if (inner.field() == 1) item.instance_id = inner.bytes();
        if (inner.field() == 2) item.execution_id = ValueOf(inner.bytes());
        if (inner.field() == 3)
          item.past.push_back(*DecodeEvent(inner.bytes()));
        if (inner.field() == 4) {
          item.events.push_back(*DecodeEvent(inner.bytes()));
        }
        if (inner.field() == 6) item.past_is_streamed = inner.varint() != 0;
      } else {
        if (inner.field() == 1) item.name = inner.bytes();
        if (inner.field() == 2) item.version = ValueOf(inner.bytes());
        if (inner.field() == 3) item.input = ValueOf(inner.bytes());
        if (inner.field() == 4) {
          const auto of = DecodeMessage<ExecutionOf>(inner.bytes());
          item.instance_id = of->instance_id;
          item.execution_id = of->execution_id.value_or("");
        }
        if (inner.field() == 5) item.id = static_cast<int32_t>(inner.varint());
      }
    }
    EXPECT_TRUE(inner.ok());
  }
  EXPECT_TRUE(reader.ok());
  return item;
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_ORCHESTRATION_FAKE_ITEM_H_
