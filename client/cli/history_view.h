// HistoryView: what has happened to an orchestration, a row an event.
//
// An event that ends something names what that was: it remembers the names of
// what was begun, by their ids.
//
// Thread-safety: one thread.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_HISTORY_VIEW_H_
#define LEASEHOLD_CLIENT_CLI_HISTORY_VIEW_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "client/cli/table.h"
#include "client/orchestration_event.h"

namespace leasehold::client::cli {

class HistoryView {
 public:
  // Lines for an event; the first time below the heading. Events come in order.
  std::string Lines(const OrchestrationEvent& event);
  // The heading, if no event came.
  std::string End() { return table_.Lines({}); }

 private:
  // What it says beyond its kind.
  std::string Detail(const OrchestrationEvent& event) const;

  Table table_{{"TIME                    ", "ELAPSED", "ID  ",
                "EVENT                ", "DETAIL"}};
  std::optional<absl::Time> first_;
  std::map<int32_t, std::string> begun_;
};

// An object, without a line's end.
std::string EventJson(const OrchestrationEvent& event);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_HISTORY_VIEW_H_
