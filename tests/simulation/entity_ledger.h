// EntityLedger: what was asked of entities and what came back, and whether one
// order of the operations explains it all: linearizability.
//
// The state of each entity is a log: every operation appends its label, which
// is its own, and answers with the log. So the log at the end says in which
// order the operations took effect, and no order needs to be searched for: it
// is compared with what callers saw and when. That an operation took effect
// once is checked with it, and that nobody came into a critical section.
//
// An operation may signal another entity. Its entry says so: `7>@c@2` is
// operation `7`, which sent operation `7>` to @c@2.
//
// Thread-safety: one thread.   Lifetime: a value.
#ifndef LEASEHOLD_TESTS_SIMULATION_ENTITY_LEDGER_H_
#define LEASEHOLD_TESTS_SIMULATION_ENTITY_LEDGER_H_

#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leasehold {

// The log with one more entry. `tells`: the entity that the operation signals;
// empty: none.
std::string AppendEntry(std::string log, std::string_view label,
                        std::string_view tells);

class EntityLedger {
 public:
  // An operation is sent. Those of orchestrations and calls with a name may
  // come again, with the same label; the first counts.
  void Begin(const std::string& label, const std::string& entity, bool is_call,
             int now);
  // A caller was told that its signal will run, or that it will not. Whoever
  // was told nothing does not know.
  void Promise(const std::string& label, bool runs, int now);
  // A call was answered with the log. It may be answered again, with the same.
  void Answer(const std::string& label, const std::string& log, int now);
  // Somebody has looked.
  void Read(const std::string& entity, std::string log, int begin, int end);
  // All calls of a critical section were answered while it held its entities.
  // Their labels begin with `prefix`.
  void EndSection(const std::string& prefix,
                  const std::vector<std::string>& entities, size_t calls_each);

  size_t sections() const { return sections_.size(); }

  // `logs`: those at the end, by entity. nullopt: there is no contradiction.
  std::optional<std::string> FindContradiction(
      const std::map<std::string, std::string>& logs) const;

 private:
  static constexpr int kNever = std::numeric_limits<int>::max();

  struct Operation {
    std::string entity;
    bool is_call = false;
    int begin = 0;
    int end = kNever;
    std::optional<bool> runs = {};           // Unknown, if nobody was told.
    std::optional<std::string> output = {};  // Of a call.
    // It was answered again, and otherwise.
    std::optional<std::string> other_output = {};
  };
  struct Look {
    std::string entity;
    std::string log;
    int begin = 0;
    int end = 0;
  };
  struct Section {
    std::string prefix;
    std::vector<std::string> entities;
    size_t calls_each = 0;
  };
  // Where each operation took effect.
  struct Place {
    std::string entity;
    size_t index = 0;  // In the log.
    size_t bytes = 0;  // Of the log up to it.
  };
  using Places = std::map<std::string, Place>;

  std::optional<std::string> ReadLogs(
      const std::map<std::string, std::string>& logs, Places& places) const;
  std::optional<std::string> CheckOperations(
      const std::map<std::string, std::string>& logs,
      const Places& places) const;
  std::optional<std::string> CheckOrder(const Places& places) const;
  std::optional<std::string> CheckLooks(
      const std::map<std::string, std::string>& logs,
      const Places& places) const;
  std::optional<std::string> CheckSections(const Places& places) const;

  std::map<std::string, Operation> operations_;
  std::vector<Look> looks_;
  std::vector<Section> sections_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SIMULATION_ENTITY_LEDGER_H_
