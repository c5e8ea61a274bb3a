#include "service/orchestration/packed_orchestration.h"

#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "lease/base/hex.h"
#include "service/base/invariant.h"
#include "service/orchestration/wire.h"

namespace leasehold {
namespace {

// At the start of a block: the sizes of what follows.
struct Head {
  uint16_t tenant_bytes = 0;
  uint16_t id_bytes = 0;
  uint16_t rest_bytes = 0;  // The encoded Rest.
};

constexpr int64_t kBillion = 1'000'000'000;

struct Rest {
  RunNumber number = 0;
  std::string name;
  std::string version;
  std::string execution_id;  // As it is, or else
  std::string execution;     // its 16 bytes.
  std::vector<std::string> former_executions;
  int64_t revision = 0;
  int32_t status = 0;
  int64_t turn_nanos = 0;  // The turn's time, since 1970.
  int64_t start_at = 0;
  int64_t last_sequence = 0;
  int64_t first_sequence = 0;
  bool suspended = false;
  bool begun_by_work = false;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.number);
    field(2, self.name);
    field(3, self.version);
    field(4, self.execution_id);
    field(5, self.execution);
    field(6, self.former_executions);
    field(7, self.revision);
    field(8, self.status);
    field(9, self.turn_nanos);
    field(10, self.start_at);
    field(11, self.last_sequence);
    field(12, self.first_sequence);
    field(13, self.suspended);
    field(14, self.begun_by_work);
  }
};

void PutExecutionId(const std::string& id, Rest& rest) {
  std::optional<std::string> bytes;
  if (id.size() == 32) bytes = BytesFromHex(id);
  // Only small letters come back as they were.
  if (bytes.has_value() && absl::BytesToHexString(*bytes) == id) {
    rest.execution = *std::move(bytes);
  } else {
    rest.execution_id = id;
  }
}

// Whether its sizes and its time can be put as they are here.
bool Fits(const Orchestration& one) {
  constexpr size_t kBytesMax = std::numeric_limits<uint16_t>::max();
  constexpr size_t kBytesBeside = 256;  // More than all numbers take.
  constexpr int64_t kSecondsMax =
      std::numeric_limits<int64_t>::max() / kBillion;
  size_t bytes = kBytesBeside + one.turn.name.size() + one.turn.version.size() +
                 one.execution_id.size();
  for (const std::string& id : one.former_executions) bytes += id.size() + 8;
  const int64_t seconds = one.turn_time.seconds;
  return bytes <= kBytesMax && one.key.tenant.size() <= kBytesMax &&
         one.key.id.size() <= kBytesMax && seconds >= 0 &&
         seconds < kSecondsMax && one.turn_time.nanos >= 0 &&
         one.turn_time.nanos < kBillion;
}

Head HeadOf(const char* block) {
  Head head;
  std::memcpy(&head, block, sizeof(head));
  return head;
}

std::string_view RestOf(const char* block) {
  const Head head = HeadOf(block);
  return {block + sizeof(head) + head.tenant_bytes + head.id_bytes,
          head.rest_bytes};
}

}  // namespace

bool MayPackSoon(const Orchestration& one) {
  const OwnedWork& turn = one.turn;
  return !one.gone && !one.ending && one.damage == nullptr && !one.held &&
         one.hot == nullptr && one.pins == 0 && one.pin == nullptr &&
         !one.pinning && !one.committing && !one.terminating &&
         one.activities.empty() && one.inbox.empty() && one.fresh == nullptr &&
         one.sent == nullptr && turn.state == Work::State::kIdle &&
         turn.token.empty() && turn.lost == 0 && !turn.place;
}

bool MayPack(const Orchestration& one) {
  return one.durable && MayPackSoon(one) && one.inbox.bytes() == 0 &&
         one.offer == nullptr && one.unsent.empty() && Fits(one);
}

PackedOrchestration Pack(const Orchestration& one) {
  Rest rest{
      .number = one.number,
      .name = one.turn.name,
      .version = one.turn.version,
      .execution_id = {},
      .execution = {},
      .former_executions = one.former_executions,
      .revision = static_cast<int64_t>(one.revision),
      .status = static_cast<int32_t>(one.status),
      .turn_nanos = one.turn_time.seconds * kBillion + one.turn_time.nanos,
      .start_at = one.start_at,
      .last_sequence = one.last_sequence,
      .first_sequence = one.first_sequence,
      .suspended = one.suspended,
      .begun_by_work = one.begun_by_work};
  PutExecutionId(one.execution_id, rest);
  const std::string encoded = EncodeMessage(rest);
  const Head head{.tenant_bytes = static_cast<uint16_t>(one.key.tenant.size()),
                  .id_bytes = static_cast<uint16_t>(one.key.id.size()),
                  .rest_bytes = static_cast<uint16_t>(encoded.size())};
  std::unique_ptr<char[]> block(new char[sizeof(head) + one.key.tenant.size() +
                                         one.key.id.size() + encoded.size()]);
  char* to = block.get();
  const auto put = [&to](const void* bytes, size_t size) {
    if (size != 0) std::memcpy(to, bytes, size);
    to += size;
  };
  put(&head, sizeof(head));
  put(one.key.tenant.data(), one.key.tenant.size());
  put(one.key.id.data(), one.key.id.size());
  put(encoded.data(), encoded.size());
  return block;
}

std::shared_ptr<Orchestration> Unpack(const char* block) {
  std::optional<Rest> rest = DecodeMessage<Rest>(RestOf(block));
  CheckInvariant(rest.has_value(), "what was packed can be unpacked");
  auto one = std::make_shared<Orchestration>(
      rest->number,
      InstanceKey{std::string(TenantOf(block)), std::string(IdOf(block))},
      std::move(rest->name), std::move(rest->version),
      rest->execution.empty() ? std::move(rest->execution_id)
                              : absl::BytesToHexString(rest->execution));
  one->durable = true;
  one->former_executions = std::move(rest->former_executions);
  one->revision = static_cast<uint64_t>(rest->revision);
  one->status = static_cast<OrchestrationStatus>(rest->status);
  one->turn_time = {rest->turn_nanos / kBillion,
                    static_cast<int32_t>(rest->turn_nanos % kBillion)};
  one->start_at = rest->start_at;
  one->last_sequence = rest->last_sequence;
  one->first_sequence = rest->first_sequence;
  one->suspended = rest->suspended;
  one->begun_by_work = rest->begun_by_work;
  return one;
}

RunNumber NumberOf(const char* block) {
  WireReader reader(RestOf(block));
  CheckInvariant(reader.Next() && reader.field() == 1,
                 "a packed orchestration begins with its number");
  return static_cast<RunNumber>(reader.varint());
}

bool IsBegunByWork(const char* block) {
  const auto rest = DecodeMessage<Rest>(RestOf(block));
  return rest.has_value() && rest->begun_by_work;
}

size_t PackedBytes(const char* block) {
  const Head head = HeadOf(block);
  return sizeof(head) + head.tenant_bytes + head.id_bytes + head.rest_bytes;
}

std::string_view TenantOf(const char* block) {
  return {block + sizeof(Head), HeadOf(block).tenant_bytes};
}

std::string_view IdOf(const char* block) {
  const Head head = HeadOf(block);
  return {block + sizeof(Head) + head.tenant_bytes, head.id_bytes};
}

}  // namespace leasehold
