// HistoryView: the history of an orchestration, one row per event, in the order
// of time.
//
// A history stands in the order in which it was recorded: what arrived during a
// turn comes after it. Here each event stands where it happened, beside the
// turn that it was part of. An event that ends something has the ID of what it
// ends, and names it: the view remembers the names of activities and
// sub-orchestrations, and what was asked of entities.
//
// Thread-safety: one thread.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_HISTORY_VIEW_H_
#define LEASEHOLD_CLIENT_CLI_HISTORY_VIEW_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/cli/json_object.h"
#include "client/cli/look.h"
#include "client/cli/table.h"
#include "client/orchestrations/orchestration_event.h"

namespace leasehold::client::cli {

// Numbers the turns of a history, from 1.
class TurnCounter {
 public:
  // Of the next event; 0: it came between two turns.
  int TurnOf(const OrchestrationEvent& event);

 private:
  int turns_ = 0;
  bool in_turn_ = false;
};

class HistoryView {
 public:
  explicit HistoryView(const Look& look) : look_(look) {}

  // Events come as they were recorded.
  void Add(const OrchestrationEvent& event);
  // All of them as a table, with its heading.
  std::string Text() const;

 private:
  // Everything about the event except its kind.
  std::string Detail(const OrchestrationEvent& event) const;
  // The ID of what it is about: its own, or that of what it answers.
  std::string IdOf(const OrchestrationEvent& event) const;

  struct Line {
    absl::Time time;
    int turn = 0;
    std::string id;
    std::string event;
    std::string detail;
  };
  struct Asked {
    int32_t id = 0;
    std::string text;
  };

  const Look look_;
  TurnCounter turns_;
  std::vector<Line> lines_;
  std::map<int32_t, std::string> begun_;
  std::map<std::string, Asked> asked_;
};

// An event as a file has it, whose reader replays it.
JsonObject EventJson(const OrchestrationEvent& event);
// The same for whoever looks: payloads as asked for, the number of its turn
// unless that is 0, and its ID if it has one.
JsonObject TimelineJson(const OrchestrationEvent& event, int turn,
                        Payloads payloads);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_HISTORY_VIEW_H_
