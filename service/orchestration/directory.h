// Directory: the orchestrations in the engine's memory, by key and by number:
// those that are open, and those whose end is not durable yet.
//
// While an orchestration's end is being committed, another may begin under the
// same key: the key then finds the new one, and only its number finds the old
// one.
//
// Thread-safety: none; callers synchronise.   Lifetime: it shares the
// orchestrations with the operations in progress for them.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_DIRECTORY_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_DIRECTORY_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "service/instance/instance_key.h"
#include "service/orchestration/orchestration.h"
#include "service/storage/records.h"

namespace leasehold {

using OrchestrationPtr = std::shared_ptr<Orchestration>;

class Directory {
 public:
  // A key as a single string.
  static std::string NameOf(const InstanceKey& key);

  // nullptr: no orchestration has this key.
  OrchestrationPtr Find(const InstanceKey& key) const {
    return FindByName(NameOf(key));
  }
  OrchestrationPtr FindByName(const std::string& name) const;
  // As Find, but also nullptr if the orchestration is being ended.
  OrchestrationPtr FindOpen(const InstanceKey& key) const;
  // As FindOpen, or one of which it is undecided whether it ends.
  OrchestrationPtr FindNotEnded(const InstanceKey& key) const;
  Orchestration* FindByNumber(RunNumber number) const;
  bool Contains(const InstanceKey& key) const {
    return by_name_.contains(NameOf(key));
  }
  // Any orchestration; nullptr: the directory is empty.
  Orchestration* first() const;
  size_t size() const { return by_name_.size(); }

  // From now on its key finds this orchestration.
  void Add(OrchestrationPtr orchestration);
  // Removes an ended orchestration. Returns the directory's pointer to it;
  // nullptr: another orchestration has its key.
  OrchestrationPtr Remove(const Orchestration& orchestration);

  // Calls `look` with `count` orchestrations. Later calls continue where this
  // one stopped, so that each orchestration is looked at in time.
  template <typename Look>
  void LookAtSome(size_t count, Look look) {
    auto it = by_number_.lower_bound(next_look_);
    for (size_t i = 0; i < count && i < by_number_.size(); ++i) {
      if (it == by_number_.end()) it = by_number_.begin();
      look(*it->second);
      ++it;
    }
    next_look_ = it == by_number_.end() ? 0 : it->first;
  }

 private:
  absl::flat_hash_map<std::string, OrchestrationPtr> by_name_;
  absl::btree_map<RunNumber, Orchestration*> by_number_;
  RunNumber next_look_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_DIRECTORY_H_
