// KeyedLine: runs tasks one at a time for each key, in order of arrival, so
// that each task sees what the previous one decided.
//
//   if (line.Add(key, task)) Begin(key);
//   ...                               // In Begin: Take it, and run it.
//   if (line.End(key)) Begin(key);    // The next one of that key.
//
// Thread-safety: none; callers synchronise.   Lifetime: a value.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_KEYED_LINE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_KEYED_LINE_H_

#include <cstddef>
#include <deque>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace leasehold {

template <typename Task>
class KeyedLine {
 public:
  // True: no other task of this key runs; begin it.
  [[nodiscard]] bool Add(const std::string& key, Task task) {
    Line& line = lines_[key];
    line.waiting.push_back(std::move(task));
    if (line.running) return false;
    line.running = true;
    return true;
  }

  // Takes the next task of that key, to run it. Its line stays until End.
  // nullopt: the line was cleared meanwhile.
  std::optional<Task> Take(const std::string& key) {
    const auto it = lines_.find(key);
    if (it == lines_.end() || it->second.waiting.empty()) return std::nullopt;
    std::optional<Task> task = std::move(it->second.waiting.front());
    it->second.waiting.pop_front();
    return task;
  }

  // The running task of that key has ended. True: there is another one; begin
  // it.
  [[nodiscard]] bool End(const std::string& key) {
    const auto it = lines_.find(key);
    if (it == lines_.end()) return false;
    if (!it->second.waiting.empty()) return true;
    lines_.erase(it);
    return false;
  }

  // Whether a task of that key waits or runs.
  bool Contains(const std::string& key) const { return lines_.contains(key); }

  // Calls `each` with every key of which a task waits or runs.
  template <typename Each>
  void ForEachKey(Each each) const {
    for (const auto& [key, line] : lines_) each(key);
  }

  // Takes the tasks of that key that have not begun; the running one stays.
  std::vector<Task> TakeWaiting(const std::string& key) {
    const auto it = lines_.find(key);
    if (it == lines_.end()) return {};
    return MoveAll(it->second.waiting);
  }

  // Forgets all lines. Returns the tasks that have not begun.
  std::vector<Task> Clear() {
    std::vector<Task> waiting;
    for (auto& [key, line] : lines_) {
      for (Task& task : line.waiting) waiting.push_back(std::move(task));
    }
    lines_.clear();
    return waiting;
  }

 private:
  struct Line {
    bool running = false;
    std::deque<Task> waiting;
  };

  static std::vector<Task> MoveAll(std::deque<Task>& tasks) {
    std::vector<Task> all(std::make_move_iterator(tasks.begin()),
                          std::make_move_iterator(tasks.end()));
    tasks.clear();
    return all;
  }

  absl::flat_hash_map<std::string, Line> lines_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_KEYED_LINE_H_
