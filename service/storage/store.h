// Store: the door to what survives a restart.
//
// The writer commits batches of changes; each batch is there as a whole or not
// at all, and once Commit has said OK it is there for good, whatever happens to
// the machine. Readers see batches that were committed, whole ones only.
//
// After a Commit that failed nobody knows what is on the disk: the store is
// then closed, and answers Unavailable until Open has found out.
//
// Thread-safety: Open and Commit belong to one thread at a time, the writer;
// all else is safe beside it and from any thread.   Lifetime: outlives all who
// read. All methods block; none belongs on a thread that serves calls.
#ifndef LEASEHOLD_SERVICE_STORAGE_STORE_H_
#define LEASEHOLD_SERVICE_STORAGE_STORE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "service/storage/records.h"

namespace leasehold {

class Store {
 public:
  virtual ~Store() = default;

  // What it is, for people: `memory`, or `sqlite` and its file.
  virtual std::string name() const = 0;

  // Opens it, or opens it anew. Idempotent. OK: it holds all that was ever
  // committed, and can be written.
  //   FailedPrecondition: another process has it (the message names it), or a
  //     newer version of the program wrote it.
  //   DataLoss: it is damaged; the message says where.
  //   Unavailable: it cannot be read or written now; trying again may help.
  virtual absl::Status Open() = 0;

  // Calls `each` with every open instance, in order of their numbers.
  //   DataLoss, Unavailable: as Open.
  virtual absl::Status ReadOpen(
      absl::FunctionRef<void(OpenInstance instance)> each) = 0;

  // The greatest number that any instance or replaced run has now; 0: there is
  // none.
  virtual absl::StatusOr<InstanceNumber> ReadLastNumber() = 0;

  // Makes `changes`, in their order, all of them or none. OK: they are durable.
  //   DataLoss, Unavailable: as Open; the store is closed now.
  virtual absl::Status Commit(absl::Span<const Change> changes) = 0;

  // The instance of a key; nullopt: there is none.
  virtual absl::StatusOr<std::optional<InstanceRow>> Find(
      std::string_view tenant, std::string_view id) = 0;

  // The replaced runs of a key, the greatest number first, as they were when
  // they were replaced.
  virtual absl::StatusOr<std::vector<InstanceRow>> ReadReplaced(
      std::string_view tenant, std::string_view id) = 0;

  // The chunks of the history of an instance or a replaced run, in order. None,
  // if there is no such run.
  virtual absl::StatusOr<std::vector<std::string>> ReadHistory(
      InstanceNumber number) = 0;
  virtual absl::StatusOr<HistoryEnds> ReadHistoryEnds(
      InstanceNumber number) = 0;

  virtual absl::StatusOr<RowPage> Query(const RowQuery& query) = 0;
  virtual absl::StatusOr<FinishedPage> ListFinished(
      const FinishedQuery& query) = 0;

  // What PutRequest left; nullopt: nothing.
  virtual absl::StatusOr<std::optional<RequestRow>> FindRequest(
      std::string_view tenant, std::string_view request) = 0;

  // A value that PutSetting left; nullopt: there is none.
  virtual absl::StatusOr<std::optional<std::string>> ReadSetting(
      std::string_view name) = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_STORE_H_
