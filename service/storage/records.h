// What the store keeps, as values: rows, and the changes that a commit makes.
//
// The store knows keys, times and an order, but not what an orchestration is.
// So a row has the few columns that are searched, and the rest is bytes that
// only the orchestration room writes and reads.
//
// Rows refer to each other by the instance number, an increasing internal key:
// random text as the key of every row costs four times as much. Only the
// instance's own row contains the ID.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_STORAGE_RECORDS_H_
#define LEASEHOLD_SERVICE_STORAGE_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "service/storage/partition.h"

namespace leasehold {

// Identifies one run of an instance inside the store: starting an ID again
// assigns a new number, greater than all earlier ones of its partition. The
// number has no bucket of the key in it: queries promise the order of starts,
// and it is the order of numbers.
using RunNumber = int64_t;

// Microseconds since 1970.
using StoredTime = int64_t;

// How many replaced runs of a key are kept: those with the greatest numbers.
inline constexpr size_t kReplacedRunsMax = 10;

// An instance, open or finished: at most one per key (tenant and ID). Or a
// replaced run, which was an instance until its key was started again.
struct RunRow {
  RunNumber number = 0;
  std::string tenant;
  std::string id;
  int32_t status = 0;
  StoredTime created = 0;
  std::optional<StoredTime> finished;  // Empty if it is open.
  std::string summary;                 // The other data that queries show.
  // Set when reading: the row is not as it was written, and no value in it can
  // be trusted. Never set in a row that is put.
  bool damaged = false;

  friend bool operator==(const RunRow&, const RunRow&) = default;
};

// A message with an event of more bytes, or such an activity, is large: a
// starting server does not load it.
inline constexpr size_t kLargeMessageBytes = 16 << 10;
inline constexpr size_t kLargeTaskBytes = 16 << 10;

// An event that has arrived for an instance and is not in its history yet.
struct MessageRow {
  RunNumber number = 0;
  int64_t sequence = 0;   // Their order; may be negative.
  std::string execution;  // For this execution only; empty: for any.
  std::string event;

  friend bool operator==(const MessageRow&, const MessageRow&) = default;
};

// Something to do at a given time.
struct TimerRow {
  RunNumber number = 0;
  int64_t sequence = 0;
  StoredTime due = 0;

  friend bool operator==(const TimerRow&, const TimerRow&) = default;
};

// An activity that has not ended.
struct TaskRow {
  RunNumber number = 0;
  int64_t sequence = 0;
  std::string task;

  friend bool operator==(const TaskRow&, const TaskRow&) = default;
};

// A start that was answered, by the name that its caller gave it. Its instance
// need not exist any more.
struct RequestRow {
  std::string tenant;
  std::string request;
  std::string id;  // The ID of its instance.
  std::string receipt;

  friend bool operator==(const RequestRow&, const RequestRow&) = default;
};

// A call of an entity that has ended, by the name that its caller gave it. Its
// entity need not exist any more.
struct CallRow {
  std::string tenant;
  std::string request;
  StoredTime ended = 0;
  int64_t fingerprint = 0;  // Of what was called.
  std::string id;           // The ID of its entity.
  std::string outcome;
  // Set when reading: as in a RunRow.
  bool damaged = false;

  friend bool operator==(const CallRow&, const CallRow&) = default;
};

// What one partition has to tell another. The commit that causes it puts it,
// and the commit of the target that acts on it takes it: so it is acted on
// once, however often the target is told.
struct OutboxRow {
  PartitionId source = kOnlyPartition;
  int64_t ordinal = 0;  // Their order; a source never uses one twice.
  PartitionId target = kOnlyPartition;
  std::string body;
  // Set when reading: as in a RunRow, but its key can be trusted.
  bool damaged = false;

  friend bool operator==(const OutboxRow&, const OutboxRow&) = default;
};

// An entity: a state under a key. It is awake while it has something to do: an
// operation waits for it, or somebody holds it. A starting server reads only
// those that are awake. One that is asleep and has no state has no row.
struct EntityRow {
  std::string tenant;
  std::string id;
  RunNumber number = 0;     // Of its operations, while it is awake; 0: asleep.
  StoredTime modified = 0;  // When its state was last put.
  std::string header;       // What else is known of it.
  std::optional<std::string> state;
  // Set when reading: as in a RunRow.
  bool damaged = false;

  friend bool operator==(const EntityRow&, const EntityRow&) = default;
};

// Something that waits for an entity that is awake.
struct OperationRow {
  RunNumber number = 0;
  int64_t sequence = 0;  // Their order.
  std::string event;

  friend bool operator==(const OperationRow&, const OperationRow&) = default;
};

// ---- Changes ----------------------------------------------------------------
//
// Nothing is added to an instance that does not exist, and no message, timer or
// task to a finished one: what comes too late is dropped. A row with the key
// (chunk or sequence) of an existing one takes its place.
//
// A replaced run is not an instance: it has a row and a history, and neither
// changes any more.

// Creates an instance. It replaces another instance that has its key, open or
// finished: that one's messages, timers and tasks are erased, and so is the
// oldest replaced run of the key if there is one too many. Anything else with
// the new instance's number is erased.
struct PutRun {
  RunRow row;
};

// Changes an instance; does nothing if there is none. With `finished` set, it
// is finished: its messages, timers and tasks are erased. Otherwise it is open
// (again).
struct UpdateRun {
  RunNumber number = 0;
  int32_t status = 0;
  std::optional<StoredTime> finished;
  std::string summary;
};

// Finishes an open instance whose summary the caller does not know: the summary
// stays. `events` are appended to its history. A finished instance does not
// change.
struct FinishRun {
  RunNumber number = 0;
  int32_t status = 0;
  StoredTime finished = 0;
  std::string events;
};

// Appends the events of one turn. `chunk` counts from 0 in each execution.
struct AppendHistory {
  RunNumber number = 0;
  int64_t chunk = 0;
  std::string events;
};

// Begins a new execution: history, timers and tasks of the previous one are
// erased; messages stay.
struct ClearExecution {
  RunNumber number = 0;
};

struct PutMessage {
  MessageRow row;
};

// Messages up to this one have gone into the history.
struct TakeMessages {
  RunNumber number = 0;
  int64_t last_sequence = 0;
};

struct PutTimer {
  TimerRow row;
};

struct DropTimer {
  RunNumber number = 0;
  int64_t sequence = 0;
};

struct PutTask {
  TaskRow row;
};

struct DropTask {
  RunNumber number = 0;
  int64_t sequence = 0;
};

// Erases an instance with everything that belongs to it, and the replaced runs
// and requests of its key.
struct EraseRun {
  RunNumber number = 0;
};

// Puts the row of an entity; it takes the place of any other of its key.
struct PutEntity {
  EntityRow row;
};

// Changes an entity whose state the caller need not know: the state and its
// time stay. Creates the entity, if there is none, as `row` without a state.
struct TouchEntity {
  EntityRow row;
};

// Erases an entity and its operations.
struct EraseEntity {
  std::string tenant;
  std::string id;
};

// Nothing is added if no entity has this number.
struct PutOperation {
  OperationRow row;
};

struct DropOperation {
  RunNumber number = 0;
  int64_t sequence = 0;
};

// At most one per tenant and request: replaces an older one.
struct PutCall {
  CallRow row;
};

struct DropCall {
  std::string tenant;
  std::string request;
};

// Erases all instances, replaced runs, requests, entities and calls of a
// tenant. The rows of an outbox are of no tenant: whoever put them takes them.
struct EraseTenant {
  std::string tenant;
};

// At most one per tenant and request: replaces an older one. It stays when its
// instance is replaced.
struct PutRequest {
  RequestRow row;
};

// A value of the server, by name.
struct PutSetting {
  std::string name;
  std::string value;
};

// Replaces a row with the same key.
struct PutOutbox {
  OutboxRow row;
};

// Takes a row from the outbox and makes the `effects` changes that follow this
// one in the batch. If the row is gone, it was acted on before: then these
// changes are skipped, and the result of the commit says so.
struct TakeOutbox {
  OutboxKey key;
  size_t effects = 0;
};

using Change =
    std::variant<PutRun, UpdateRun, FinishRun, AppendHistory, ClearExecution,
                 PutMessage, TakeMessages, PutTimer, DropTimer, PutTask,
                 DropTask, EraseRun, EraseTenant, PutRequest, PutSetting,
                 PutOutbox, TakeOutbox, PutEntity, TouchEntity, EraseEntity,
                 PutOperation, DropOperation, PutCall, DropCall>;

// ---- What is read -----------------------------------------------------------

// What is read of a large message.
struct LargeMessage {
  static constexpr size_t kBeginningBytes = 256;

  int64_t sequence = 0;
  std::string execution = {};
  std::string beginning = {};  // Of its event.
  size_t bytes = 0;            // Its total size.

  friend bool operator==(const LargeMessage&, const LargeMessage&) = default;
};

// What is read of a large activity.
struct LargeTask {
  static constexpr size_t kBeginningBytes = 4096;

  int64_t sequence = 0;
  std::string beginning = {};

  friend bool operator==(const LargeTask&, const LargeTask&) = default;
};

// Selects messages of an instance.
struct MessageRange {
  int64_t first = std::numeric_limits<int64_t>::min();
  int64_t last = std::numeric_limits<int64_t>::max();  // Inclusive.
  size_t count_max = std::numeric_limits<size_t>::max();
};

// An open instance with everything but its history: what a starting server
// needs. Each list is in order of its sequence.
struct OpenRun {
  RunRow row;
  std::vector<MessageRow> messages;  // Without the large ones.
  std::vector<TimerRow> timers;
  std::vector<TaskRow> tasks;  // Without the large ones.
  // Describes, for people, what is damaged; empty if nothing is.
  std::string damage = {};
  std::vector<LargeMessage> large_messages = {};
  std::vector<LargeTask> large_tasks = {};
};

// The LargeTask of an activity.
inline LargeTask MakeLarge(int64_t sequence, std::string_view task) {
  return {sequence, std::string(task.substr(0, LargeTask::kBeginningBytes))};
}

// The LargeMessage of a message.
inline LargeMessage MakeLarge(int64_t sequence, std::string execution,
                              std::string_view event) {
  return {sequence, std::move(execution),
          std::string(event.substr(0, LargeMessage::kBeginningBytes)),
          event.size()};
}

enum class RowOrder : uint8_t {
  // In order of their numbers: as they were started.
  kOldestFirst,
  // The latest `created` first; of equal ones, the greatest number.
  kNewestFirst,
};

// Where a row is in a list, in either order.
struct RowPosition {
  RunNumber number = 0;
  StoredTime created = 0;

  friend bool operator==(const RowPosition&, const RowPosition&) = default;
};

inline RowPosition PositionOf(const RunRow& row) {
  return {row.number, row.created};
}

// Selects instances. All conditions apply at once. The tenant has no default,
// so that callers must name it.
struct RowQuery {
  std::string tenant;
  std::vector<int32_t> statuses = {};           // Empty: any.
  std::optional<StoredTime> created_from = {};  // Inclusive, like the other.
  std::optional<StoredTime> created_to = {};
  std::string id_prefix = {};
  bool finished_only = false;
  // Whether a row's summary matches; null: any does. Only whoever writes
  // summaries can read them. It is called while the store may be locked: it
  // calls nobody, and is quick.
  std::function<bool(std::string_view summary)> summary = nullptr;
  RowOrder order = RowOrder::kOldestFirst;
  // Those that follow this place, whether or not a row is there (any more).
  std::optional<RowPosition> after = {};
  size_t count_max = 100;  // At least 1.
};

// Selects finished instances, in order of the time at which they finished.
struct FinishedQuery {
  struct Position {
    StoredTime finished = 0;
    RunNumber number = 0;
  };

  std::string tenant;
  std::vector<int32_t> statuses = {};            // Empty: any.
  std::optional<StoredTime> finished_from = {};  // Inclusive.
  std::optional<StoredTime> finished_to = {};    // Exclusive.
  std::optional<Position> after = {};
  size_t count_max = 100;  // At least 1.
};

// An entity that is awake, with its operations in order.
struct AwakeEntity {
  EntityRow row;  // Without its state.
  std::vector<OperationRow> operations;
  // Describes, for people, what is damaged; empty if nothing is.
  std::string damage = {};
};

// A CallRow, in short.
struct CallMark {
  std::string tenant;
  std::string request;
  StoredTime ended = 0;
  size_t bytes = 0;  // Of its outcome.

  friend bool operator==(const CallMark&, const CallMark&) = default;
};

// Selects entities that meet all conditions, in order of their IDs (not empty).
struct EntityQuery {
  std::string tenant;
  std::string id_prefix = {};
  std::optional<StoredTime> modified_from = {};  // Inclusive.
  std::optional<StoredTime> modified_to = {};    // Exclusive.
  bool with_state = false;                       // The rows have their states.
  bool with_stateless = false;  // Those without a state match, too.
  std::string after = {};       // Those with greater IDs.
  size_t count_max = 100;       // At least 1.
};

struct EntityPage {
  std::vector<EntityRow> rows;
  std::optional<std::string> next;  // Continue after; empty: the last page.
};

// A page may be short, or empty, without being the last one: a read is cut
// short after a second.
struct RowPage {
  std::vector<RunRow> rows;
  std::optional<RowPosition> next;  // Continue after; empty: the last page.
};

// How many rows match, by status.
struct RowCounts {
  std::map<int32_t, int64_t> by_status;
  std::optional<RowPosition> next;  // As in a RowPage: the rest is not counted.
};

struct FinishedPage {
  std::vector<RunRow> rows;
  std::optional<FinishedQuery::Position> next;
};

// Consecutive chunks of a history.
struct HistoryPart {
  std::vector<std::string> chunks;
  std::optional<int64_t> next;  // Continue at; empty: the last part.
};

// The first and the last chunk of a history; equal if there is only one, empty
// if there is none.
struct HistoryEnds {
  std::string first;
  std::string last;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_RECORDS_H_
