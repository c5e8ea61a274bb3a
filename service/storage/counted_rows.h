// CountedRows: rows of one kind, by number, and what they take together.
//
// Thread-safety: callers synchronise.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_STORAGE_COUNTED_ROWS_H_
#define LEASEHOLD_SERVICE_STORAGE_COUNTED_ROWS_H_

#include <cstdint>
#include <map>
#include <utility>

#include "service/storage/tenant_bytes.h"

namespace leasehold {

template <typename Row>
class CountedRows {
 public:
  const std::map<int64_t, Row>& rows() const { return rows_; }
  // As BytesOf.
  int64_t bytes() const { return bytes_; }

  // Takes the place of a row of that number.
  void Put(int64_t number, Row row) {
    Erase(number);
    bytes_ += BytesOf(row);
    rows_.emplace(number, std::move(row));
  }
  void Erase(int64_t number) {
    const auto found = rows_.find(number);
    if (found == rows_.end()) return;
    bytes_ -= BytesOf(found->second);
    rows_.erase(found);
  }
  // All up to this number.
  void EraseTo(int64_t last) {
    while (!rows_.empty() && rows_.begin()->first <= last) {
      Erase(rows_.begin()->first);
    }
  }
  void Clear() {
    rows_.clear();
    bytes_ = 0;
  }

 private:
  std::map<int64_t, Row> rows_;
  int64_t bytes_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_COUNTED_ROWS_H_
