// Bounds: size limits for all input from outside, except payloads.
//
// One table for all doors: callers are refused with its messages, and a
// worker's answer that exceeds a limit fails its orchestration with them.
// Payloads (inputs, outputs, events, reasons, custom statuses) are limited by
// `--max-payload`, and instance IDs by their own rule (instance_key.h). The
// texts of a failure are cut rather than refused, so that it is still reported.
//
// Thread-safety: pure functions.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_BOUNDS_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_BOUNDS_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "service/orchestration/history.h"

namespace leasehold {

struct TurnAnswer;

// Of orchestrators, activities and events.
inline constexpr size_t kNameBytesMax = 1024;
inline constexpr size_t kVersionBytesMax = 256;
inline constexpr size_t kTagsMax = 100;
inline constexpr size_t kTagKeyBytesMax = 256;
inline constexpr size_t kTagValueBytesMax = 4096;
inline constexpr size_t kRequestIdBytesMax = 256;
inline constexpr size_t kExecutionIdBytesMax = 256;
inline constexpr size_t kTraceBytesMax = 4096;

// Of a critical section: the entities that it locks.
inline constexpr size_t kLockSetMax = 100;

// Of the ID of an entity, whoever names it.
inline constexpr size_t kEntityIdCharactersMax = 100;

// Of an instance ID in an action. Real IDs are shorter (instance_key.h): an ID
// of a length in between is reported to its orchestrator.
inline constexpr size_t kNamedIdBytesMax = 4096;

// Longer parts of a failure are cut: its type; its message and its stack trace,
// each; its depth of causes; and its total size. Workers' Protobuf libraries
// read 100 levels of nested messages, and a failure is sent inside of four.
inline constexpr size_t kFailureTypeBytesMax = 1024;
inline constexpr size_t kFailureTextBytesMax = 64 << 10;
inline constexpr int kFailureDepthMax = 32;
inline constexpr size_t kFailureBytesMax = 1 << 20;

// Of a worker's filters: names, and versions of all of them together.
inline constexpr size_t kFiltersMax = 10'000;

// Of an orchestrator: names of events that it waits for, which are kept.
inline constexpr size_t kAwaitedEventsMax = 10;

// Of a worker's answer to one item: in one message, and in several parts
// together.
inline constexpr size_t kAnswerBytesMax = 128 << 20;
inline constexpr size_t kAnswerPartsBytesMax = 256 << 20;

// Of text in UTF-8.
size_t CountCharacters(std::string_view text);

// InvalidArgument: the value is too large, or the time is not in the years 1 to
// 9999, as google.protobuf.Timestamp requires. The message begins with `field`.
absl::Status CheckSize(std::string_view field, size_t bytes, size_t bytes_max);
absl::Status CheckTags(std::string_view field, const StringMap& tags);
absl::Status CheckTime(std::string_view field, const Timestamp& time);

inline absl::Status CheckName(std::string_view field, std::string_view name) {
  return CheckSize(field, name.size(), kNameBytesMax);
}
inline absl::Status CheckVersion(std::string_view field,
                                 std::string_view version) {
  return CheckSize(field, version.size(), kVersionBytesMax);
}

// InvalidArgument: the ID has not the form `@name@key`, is too long, or breaks
// the rules of instance IDs.
absl::Status CheckEntityId(std::string_view field, std::string_view id);

// Same, for everything in an answer.
absl::Status CheckAnswer(const TurnAnswer& answer);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_BOUNDS_H_
