// ExportedHistory: a history as `leasehold orchestration history --export`
// writes it.
//
// A line of JSON that says what it is, then a line for each event, as the
// command line shows it with --output=json:
//
//   {"format":"leasehold.history.v1","instance_id":"order-1"}
//   {"id":-1,"time":"2026-01-05T09:00:00+00:00","event":"turn_started"}
//   {"id":1,"time":"…","event":"activity_scheduled","name":"Charge"}
//
// Members that are not known are ignored, and so are events of a kind that is
// not known: a replay makes no use of them. Only those of entities as older
// versions exported them are refused: they lack what a replay needs.
//
// Thread-safety: pure functions and values.
#ifndef LEASEHOLD_CLIENT_TESTING_EXPORTED_HISTORY_H_
#define LEASEHOLD_CLIENT_TESTING_EXPORTED_HISTORY_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "durabletask/orchestrator_service.pb.h"

namespace leasehold::testkit {

struct ExportedHistory {
  std::string instance_id;
  std::vector<::HistoryEvent> events;
  std::vector<int> lines;  // Where each event stands in the file, from 1.
};

//   InvalidArgument: it is none; the message names the line.
absl::StatusOr<ExportedHistory> ReadExport(std::string_view text);

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_EXPORTED_HISTORY_H_
