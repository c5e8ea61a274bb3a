#include "service/instance/context_table.h"

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "service/base/invariant.h"

namespace leasehold {

ContextTable::KeyView ContextTable::View(const InstanceKey& key) {
  return {.tenant = key.tenant,
          .id = key.id,
          .hash = absl::HashOf(absl::string_view(key.tenant),
                               absl::string_view(key.id))};
}

InstanceContext* ContextTable::Shard::Find(const KeyView& key) {
  // Prefetches both of the table's arrays at once where the lookup is likely to
  // read them, instead of one after the other.
  by_key_.prefetch(key);
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : *it;
}

void ContextTable::Shard::Insert(InstanceContext& context) {
  CheckInvariant(by_key_.insert(&context).second,
                 "a context enters its table once");
  context.table_index_ = static_cast<uint32_t>(contexts_.size());
  contexts_.push_back(&context);
}

void ContextTable::Shard::Erase(InstanceContext& context) {
  CheckInvariant(by_key_.erase(&context) == 1,
                 "a context that is erased is in its table");
  InstanceContext* const last = contexts_.back();
  contexts_[context.table_index_] = last;
  last->table_index_ = context.table_index_;
  contexts_.pop_back();
}

}  // namespace leasehold
