#include "service/orchestration/work_item.h"

namespace leasehold {
namespace {

// Field numbers of WorkItem.
constexpr int kTurnField = 1;
constexpr int kActivityField = 2;
constexpr int kEntityField = 5;
constexpr int kTokenField = 10;

}  // namespace

std::string EncodeTurnItem(const TurnItem& item) {
  size_t size = 256 + item.instance_id.size();
  if (!item.past_is_streamed) size += item.past.size();
  for (const std::string& event : item.events) size += event.size() + 8;
  std::string bytes;
  bytes.reserve(size);
  WireWriter writer(bytes);
  const size_t begin = writer.Begin(kTurnField);
  writer.Bytes(1, item.instance_id);
  writer(2, Payload(item.execution_id));
  if (!item.past_is_streamed) bytes.append(item.past);  // Field 3.
  for (const std::string& event : item.events) AppendFrame(bytes, 4, event);
  // Entity parameters with a reorder window of zero: some workers refuse to
  // mention entities without them.
  const size_t parameters = writer.Begin(5);
  writer.Bytes(1, "");
  writer.End(parameters);
  writer(6, item.past_is_streamed);
  writer(8, item.trace_context);
  writer.End(begin);
  writer.Bytes(kTokenField, item.token);
  return bytes;
}

std::string EncodeActivityItem(const ActivityItem& item) {
  std::string bytes;
  WireWriter writer(bytes);
  const size_t begin = writer.Begin(kActivityField);
  writer(1, item.task.name);
  writer(2, item.task.version);
  writer(3, item.task.input);
  const size_t of = writer.Begin(4);
  writer.Bytes(1, item.instance_id);
  writer(2, Payload(item.execution_id));
  writer.End(of);
  writer(5, item.id);
  writer(6, item.task.trace);
  writer(7, item.task.tags);
  writer.End(begin);
  writer.Bytes(kTokenField, item.token);
  return bytes;
}

std::string EncodeBatchItem(const BatchItem& item) {
  std::string bytes;
  WireWriter writer(bytes);
  const size_t begin = writer.Begin(kEntityField);
  writer.Bytes(1, item.instance_id);
  writer(2, item.execution_id);
  writer(3, item.state);
  for (const std::string_view event : item.events) {
    AppendFrame(bytes, 4, event);
  }
  writer.End(begin);
  writer.Bytes(kTokenField, item.token);
  return bytes;
}

}  // namespace leasehold
