// What the rows of a tenant take in a store, in bytes.
//
// A row counts as its texts, and kRowBytes for the rest of it: so that many
// small rows count, too. Rows of runs, their histories and what waits for them
// count, and so do requests, entities and their operations. Settings are
// nobody's; the calls of entities that have ended have limits of their own.
//
// Thread-safety: TenantBytes is safe; the functions are pure.   Lifetime: a
// value.
#ifndef LEASEHOLD_SERVICE_STORAGE_TENANT_BYTES_H_
#define LEASEHOLD_SERVICE_STORAGE_TENANT_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lease/base/mutex.h"
#include "service/storage/records.h"

namespace leasehold {

// Numbers, checksum and a share of the indexes, about.
inline constexpr int64_t kRowBytes = 64;

// Of a row with texts of so many bytes together.
inline int64_t RowBytes(size_t texts) {
  return kRowBytes + static_cast<int64_t>(texts);
}
inline int64_t BytesOf(const RunRow& row) {
  return RowBytes(row.tenant.size() + row.id.size() + row.summary.size());
}
// A chunk of a history.
inline int64_t BytesOf(std::string_view events) {
  return RowBytes(events.size());
}
inline int64_t BytesOf(const MessageRow& row) {
  return RowBytes(row.execution.size() + row.event.size());
}
inline int64_t BytesOf(const TimerRow&) { return RowBytes(0); }
inline int64_t BytesOf(const TaskRow& row) { return RowBytes(row.task.size()); }
inline int64_t BytesOf(const RequestRow& row) {
  return RowBytes(row.tenant.size() + row.request.size() + row.id.size() +
                  row.receipt.size());
}
inline int64_t BytesOf(const EntityRow& row) {
  return RowBytes(row.tenant.size() + row.id.size() + row.header.size() +
                  (row.state.has_value() ? row.state->size() : 0));
}
inline int64_t BytesOf(const OperationRow& row) {
  return RowBytes(row.event.size());
}

// The sums, by tenant.
class TenantBytes {
 public:
  // 0 if it has no rows.
  uint64_t Of(std::string_view tenant) const ABSL_LOCKS_EXCLUDED(mu_);
  void Set(std::string_view tenant, int64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void Add(std::string_view tenant, int64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void Clear() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  mutable Mutex mu_;
  std::map<std::string, int64_t, std::less<>> bytes_ ABSL_GUARDED_BY(mu_);
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_TENANT_BYTES_H_
