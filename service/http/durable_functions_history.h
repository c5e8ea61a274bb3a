// HistoryOutline and HistoryEventsWriter: a history as the Durable Functions
// HTTP API shows it.
//
// The API does not show a history as it is: what schedules an activity or a
// sub-orchestration is folded into what ends it.
//
//   TaskScheduled 1 Hello      TaskCompleted Hello, scheduled at ...
//   TaskScheduled 2 Bye    ->  TaskScheduled Bye
//   TaskCompleted 1
//
// Which ones have ended is known only at the end of the history, which may be
// too long to hold in memory. So it is read twice: the outline is made of the
// first reading, and the second one is written, page by page, to the same
// event. Only events that wait for their ends are held.
//
// Thread-safety: callers synchronise.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_HISTORY_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "service/orchestration/history.h"

namespace leasehold {

struct HistoryOutline {
  void Add(const HistoryEvent& event);

  size_t events = 0;
  // How often what an action scheduled has ended. More than once: it was
  // rewound, and its number was used again.
  absl::flat_hash_map<int32_t, int> ends;
};

class HistoryEventsWriter {
 public:
  struct Options {
    bool inputs = true;
    bool outputs = false;
  };

  HistoryEventsWriter(HistoryOutline outline, Options options)
      : outline_(std::move(outline)), options_(options) {}

  // Appends the event, if it is shown, and a comma before it, if it is not the
  // first one. Events after those of the outline are not shown.
  void Write(const HistoryEvent& event, std::string& out);

  // Everything in the outline was written.
  bool done() const { return outline_.events == 0; }

 private:
  struct Words;
  // What schedules something, until it is folded into the end.
  struct Scheduled {
    std::string name;
    Timestamp time;
    Payload input;
  };

  HistoryOutline outline_;  // Of what is still to come.
  const Options options_;
  absl::flat_hash_map<int32_t, Scheduled> scheduled_;
  bool first_ = true;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_HISTORY_H_
