// HistoryView: the history of an orchestration, one row per event.
//
// An event that ends something names what has ended: the view remembers the
// names of activities and sub-orchestrations by their IDs, and what was asked
// of entities by the IDs of requests and critical sections.
//
// Thread-safety: one thread.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_CLI_HISTORY_VIEW_H_
#define LEASEHOLD_CLIENT_CLI_HISTORY_VIEW_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "client/cli/json_object.h"
#include "client/cli/table.h"
#include "client/orchestrations/orchestration_event.h"

namespace leasehold::client::cli {

class HistoryView {
 public:
  // Lines for an event; the first time with the heading. Events come in order.
  std::string Lines(const OrchestrationEvent& event);
  // The heading, if there was no event.
  std::string End() { return table_.Lines({}); }

 private:
  // Everything about the event except its kind.
  std::string Detail(const OrchestrationEvent& event) const;

  Table table_{{"TIME                    ", "ELAPSED", "ID  ",
                "EVENT                ", "DETAIL"}};
  std::optional<absl::Time> first_;
  std::map<int32_t, std::string> begun_;
  std::map<std::string, std::string> asked_;
};

JsonObject EventJson(const OrchestrationEvent& event);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_HISTORY_VIEW_H_
