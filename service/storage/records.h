// What the store keeps, as values: rows, and the changes that a commit makes.
//
// The store knows keys, times and an order; what an orchestration is, it does
// not know. So a row has the few columns that are searched, and everything else
// is bytes that the orchestration room wrote and alone reads.
//
// Rows hang together by the instance number, an internal key that rises: random
// text as the key of every row costs four times as much. The ID stands in the
// instance's own row only.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_STORAGE_RECORDS_H_
#define LEASEHOLD_SERVICE_STORAGE_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace leasehold {

// Names one run of an instance inside the store: an ID that is started anew
// gets a new one, greater than all before it.
using InstanceNumber = int64_t;

// Microseconds since 1970.
using StoredTime = int64_t;

// How many replaced runs are kept of a key: those with the greatest numbers.
inline constexpr size_t kReplacedRunsMax = 10;

// An instance, open or finished: at most one a key (tenant and ID). Or a
// replaced run, which was an instance until its key was started anew.
struct InstanceRow {
  InstanceNumber number = 0;
  std::string tenant;
  std::string id;
  int32_t status = 0;
  StoredTime created = 0;
  std::optional<StoredTime> finished;  // Empty: it is open.
  std::string summary;                 // The rest of what a query shows.

  friend bool operator==(const InstanceRow&, const InstanceRow&) = default;
};

// An event that has come for an instance and is not in its history yet.
struct MessageRow {
  InstanceNumber number = 0;
  int64_t sequence = 0;   // Their order; may be negative.
  std::string execution;  // For this execution only; empty: for any.
  std::string event;

  friend bool operator==(const MessageRow&, const MessageRow&) = default;
};

// Something that is to happen at a time.
struct TimerRow {
  InstanceNumber number = 0;
  int64_t sequence = 0;
  StoredTime due = 0;

  friend bool operator==(const TimerRow&, const TimerRow&) = default;
};

// An activity that has not ended.
struct TaskRow {
  InstanceNumber number = 0;
  int64_t sequence = 0;
  std::string task;

  friend bool operator==(const TaskRow&, const TaskRow&) = default;
};

// A start that was answered, by the name that its caller gave it. Its instance
// need not be there.
struct RequestRow {
  std::string tenant;
  std::string request;
  std::string id;  // The instance ID whose it is.
  std::string receipt;

  friend bool operator==(const RequestRow&, const RequestRow&) = default;
};

// ---- Changes ----------------------------------------------------------------
//
// To an instance that does not exist nothing is added, and to a finished one no
// message, timer or task: what comes too late is dropped. What is put where
// there is one already (the same chunk or sequence) takes its place.
//
// A replaced run is no instance: it has a row and a history, and nothing in
// them changes any more.

// Creates an instance. Another that has its key, open or finished, is replaced:
// its messages, timers and tasks go, and so does the replaced run of that key
// that is then one too many. Whatever has the new one's number is erased.
struct PutInstance {
  InstanceRow row;
};

// Changes an instance; one that does not exist stays so. With `finished` set it
// is finished: its messages, timers and tasks go. Without, it is open (again).
struct UpdateInstance {
  InstanceNumber number = 0;
  int32_t status = 0;
  std::optional<StoredTime> finished;
  std::string summary;
};

// Finishes an open instance whose summary the caller does not know: that stays
// as it is. `events` go behind its last chunk. One that is finished stays so.
struct FinishInstance {
  InstanceNumber number = 0;
  int32_t status = 0;
  StoredTime finished = 0;
  std::string events;
};

// Appends the events of one turn. `chunk` counts from 0 in each execution.
struct AppendHistory {
  InstanceNumber number = 0;
  int64_t chunk = 0;
  std::string events;
};

// A new execution begins: history, timers and tasks of the one before go;
// messages stay.
struct ClearExecution {
  InstanceNumber number = 0;
};

struct PutMessage {
  MessageRow row;
};

// Messages up to this one have gone into the history.
struct TakeMessages {
  InstanceNumber number = 0;
  int64_t last_sequence = 0;
};

struct PutTimer {
  TimerRow row;
};

struct DropTimer {
  InstanceNumber number = 0;
  int64_t sequence = 0;
};

struct PutTask {
  TaskRow row;
};

struct DropTask {
  InstanceNumber number = 0;
  int64_t sequence = 0;
};

// Erases an instance with all that belongs to it, and the replaced runs and the
// requests of its key.
struct EraseInstance {
  InstanceNumber number = 0;
};

// Erases all instances, replaced runs and requests.
struct EraseEverything {};

// At most one a tenant and request: it takes the place of an older one. It
// stays when its instance is replaced.
struct PutRequest {
  RequestRow row;
};

// A value of the server's own, by name.
struct PutSetting {
  std::string name;
  std::string value;
};

using Change =
    std::variant<PutInstance, UpdateInstance, FinishInstance, AppendHistory,
                 ClearExecution, PutMessage, TakeMessages, PutTimer, DropTimer,
                 PutTask, DropTask, EraseInstance, EraseEverything, PutRequest,
                 PutSetting>;

// ---- What is read -----------------------------------------------------------

// An open instance with all but its history: what a server needs to know of it
// from the start. Each list is in order of its sequence.
struct OpenInstance {
  InstanceRow row;
  std::vector<MessageRow> messages;
  std::vector<TimerRow> timers;
  std::vector<TaskRow> tasks;
};

// Which instances, in order of their numbers. All conditions hold at once.
// The tenant has no default: a caller who names some members names it too.
struct RowQuery {
  std::string tenant;
  std::vector<int32_t> statuses = {};           // Empty: any.
  std::optional<StoredTime> created_from = {};  // Inclusive, as is the other.
  std::optional<StoredTime> created_to = {};
  std::string id_prefix = {};
  bool finished_only = false;
  InstanceNumber after = 0;  // Those with greater numbers.
  size_t count_max = 100;    // At least 1.
};

// Which finished instances, in order of the time that they finished at.
struct FinishedQuery {
  struct Position {
    StoredTime finished = 0;
    InstanceNumber number = 0;
  };

  std::string tenant;
  std::vector<int32_t> statuses = {};            // Empty: any.
  std::optional<StoredTime> finished_from = {};  // Inclusive.
  std::optional<StoredTime> finished_to = {};    // Exclusive.
  std::optional<Position> after = {};
  size_t count_max = 100;  // At least 1.
};

// A page may be short, or empty, and still not be the last one: a read is cut
// short after a second.
struct RowPage {
  std::vector<InstanceRow> rows;
  std::optional<InstanceNumber> next;  // To go on after; empty: the last page.
};

struct FinishedPage {
  std::vector<InstanceRow> rows;
  std::optional<FinishedQuery::Position> next;
};

// The first and the last chunk of a history; the same, if there is one only.
// Both are empty if there is none.
struct HistoryEnds {
  std::string first;
  std::string last;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_RECORDS_H_
