// QueryReader: what the query of a Durable Functions URL asks for.
//
//   QueryReader query(request.query);
//   const bool show_input = query.Flag("showInput", true);
//   const size_t top = query.Top();
//   if (!query.status().ok()) return call->Fail(query.status());
//
// Parameters that nobody asks about are ignored, and so are names' case and
// that of words. What cannot be read is an error: a filter with a misspelt
// status is not one that matches everything.
//
// Thread-safety: callers synchronise.   Lifetime: the fields outlive it.
#ifndef LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_QUERY_H_
#define LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_QUERY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/http/http_message.h"
#include "service/orchestration/reuse_policy.h"
#include "service/orchestration/wire.h"
#include "service/storage/records.h"

namespace leasehold {

// Of a list's request and answer: where the next page begins.
inline constexpr char kContinuationHeader[] = "x-ms-continuation-token";

class QueryReader {
 public:
  explicit QueryReader(const HttpFields& query) : query_(query) {}

  // InvalidArgument: something that was asked about breaks its rule, or is
  // there twice. The first of these; its message begins with the name.
  const absl::Status& status() const { return status_; }

  // nullopt: it is not there. In UTF-8.
  Payload Text(std::string_view name);
  // `true` or `false`.
  bool Flag(std::string_view name, bool otherwise);
  // At least one of `letters`, each an ASCII letter, and nothing else.
  Payload Letters(std::string_view name, std::string_view letters);
  // A day or a time in the years 1 to 9999, as ISO 8601 writes it; UTC, if it
  // does not say otherwise.
  std::optional<StoredTime> Time(std::string_view name);
  // A number of seconds, which may have a fraction.
  std::optional<absl::Duration> Seconds(std::string_view name);
  // `runtimeStatus`: names, separated by commas, as numbers; it may be there
  // more than once. Empty: it is not there.
  std::vector<int32_t> Statuses();
  // `top`: how many at a time, at least 1. More than kTopMax are kTopMax.
  size_t Top();
  // `ifActive`, `ifFinished`: what a start does if its ID is taken. By default
  // an active one refuses the start, and one that has ended is replaced.
  ReusePolicy Policy();

  static constexpr size_t kTopDefault = 100;
  static constexpr size_t kTopMax = 1000;

 private:
  void Refuse(std::string_view name, std::string_view value,
              std::string_view rule);
  // One of `words`, by its index; `otherwise`: it is not there.
  size_t Word(std::string_view name, const std::vector<std::string_view>& words,
              size_t otherwise);

  const HttpFields& query_;
  absl::Status status_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_DURABLE_FUNCTIONS_QUERY_H_
