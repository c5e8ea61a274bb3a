#include "tests/simulation/entity_ledger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace leasehold {

std::string AppendEntry(std::string log, std::string_view label,
                        std::string_view tells) {
  absl::StrAppend(&log, log.empty() ? "" : " ", std::string(label));
  if (!tells.empty()) absl::StrAppend(&log, ">", std::string(tells));
  return log;
}

void EntityLedger::Begin(const std::string& label, const std::string& entity,
                         bool is_call, int now) {
  operations_.try_emplace(
      label, Operation{.entity = entity, .is_call = is_call, .begin = now});
}

void EntityLedger::Promise(const std::string& label, bool runs, int now) {
  Operation& operation = operations_[label];
  operation.runs = runs;
  operation.end = now;
}

void EntityLedger::Answer(const std::string& label, const std::string& log,
                          int now) {
  Operation& operation = operations_[label];
  if (operation.output.has_value()) {
    if (*operation.output != log) operation.other_output = log;
    return;
  }
  operation.runs = true;
  operation.end = now;
  operation.output = log;
}

void EntityLedger::Read(const std::string& entity, std::string log, int begin,
                        int end) {
  looks_.push_back({entity, std::move(log), begin, end});
}

void EntityLedger::EndSection(const std::string& prefix,
                              const std::vector<std::string>& entities,
                              size_t calls_each) {
  for (const Section& section : sections_) {
    if (section.prefix == prefix) return;
  }
  sections_.push_back({prefix, entities, calls_each});
}

std::optional<std::string> EntityLedger::FindContradiction(
    const std::map<std::string, std::string>& logs) const {
  Places places;
  std::optional<std::string> found = ReadLogs(logs, places);
  if (!found) found = CheckOperations(logs, places);
  if (!found) found = CheckOrder(places);
  if (!found) found = CheckLooks(logs, places);
  if (!found) found = CheckSections(places);
  if (!found) return std::nullopt;
  std::string all = "no order explains it: " + *found;
  for (const auto& [entity, log] : logs) {
    absl::StrAppend(&all, "\n  ", entity, ": ", log);
  }
  return all;
}

std::optional<std::string> EntityLedger::ReadLogs(
    const std::map<std::string, std::string>& logs, Places& places) const {
  std::map<std::string, std::string> told;  // Label: its entity.
  for (const auto& [entity, log] : logs) {
    size_t index = 0;
    size_t bytes = 0;
    for (const std::string& entry : std::vector<std::string>(
             absl::StrSplit(log, ' ', absl::SkipEmpty()))) {
      bytes += entry.size() + (index > 0 ? 1 : 0);
      std::string label = entry;
      if (const size_t tells = entry.find(">@"); tells != std::string::npos) {
        label = entry.substr(0, tells);
        told[label + ">"] = entry.substr(tells + 1);
      }
      if (!places.try_emplace(label, Place{entity, index, bytes}).second) {
        return absl::StrCat("operation ", label, " took effect twice");
      }
      ++index;
    }
  }
  for (const auto& [label, entity] : told) {
    const auto place = places.find(label);
    if (place == places.end() || place->second.entity != entity) {
      return absl::StrCat("operation ", label, " was sent to ", entity,
                          " by another, and never took effect");
    }
  }
  for (const auto& [label, place] : places) {
    const auto known = operations_.find(label);
    if (known == operations_.end() ? !told.contains(label)
                                   : known->second.entity != place.entity) {
      return absl::StrCat("nobody sent operation ", label, " to ",
                          place.entity);
    }
  }
  return std::nullopt;
}

std::optional<std::string> EntityLedger::CheckOperations(
    const std::map<std::string, std::string>& logs,
    const Places& places) const {
  for (const auto& [label, operation] : operations_) {
    const auto place = places.find(label);
    if (!operation.runs.has_value()) continue;
    if (*operation.runs != (place != places.end())) {
      return absl::StrCat(
          "operation ", label,
          *operation.runs ? " was promised, and never" : " was refused, but",
          " took effect");
    }
    if (!operation.output.has_value()) continue;
    const std::string& log = logs.at(operation.entity);
    if (log.substr(0, place->second.bytes) != *operation.output) {
      return absl::StrCat("call ", label, " was answered with ",
                          *operation.output);
    }
    if (operation.other_output.has_value()) {
      return absl::StrCat("call ", label, " was answered again, with ",
                          *operation.other_output);
    }
  }
  return std::nullopt;
}

std::optional<std::string> EntityLedger::CheckOrder(
    const Places& places) const {
  for (const auto& [label, place] : places) {
    const auto first = operations_.find(label);
    if (first == operations_.end()) continue;
    for (const auto& [other, second] : operations_) {
      // What has taken effect comes before what begins later; and signals take
      // effect in the order in which they were promised.
      const bool ordered = first->second.output.has_value() ||
                           (!first->second.is_call && !second.is_call);
      if (!ordered || second.entity != place.entity ||
          first->second.end >= second.begin) {
        continue;
      }
      const auto after = places.find(other);
      if (after != places.end() && after->second.index < place.index) {
        return absl::StrCat("operation ", other, " began after ", label,
                            " had ended, and came before it");
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> EntityLedger::CheckLooks(
    const std::map<std::string, std::string>& logs,
    const Places& places) const {
  for (const Look& look : looks_) {
    const std::string& log = logs.at(look.entity);
    if (log.substr(0, look.log.size()) != look.log) {
      return absl::StrCat(look.entity, " was seen as ", look.log);
    }
    for (const Look& other : looks_) {
      if (other.entity == look.entity && other.end < look.begin &&
          other.log.size() > look.log.size()) {
        return absl::StrCat(look.entity, " was seen as ", look.log,
                            " after it was ", other.log);
      }
    }
    for (const auto& [label, place] : places) {
      const auto operation = operations_.find(label);
      if (place.entity != look.entity || operation == operations_.end()) {
        continue;
      }
      const bool seen = place.bytes <= look.log.size();
      if ((operation->second.output.has_value() &&
           operation->second.end < look.begin && !seen) ||
          (operation->second.begin > look.end && seen)) {
        return absl::StrCat(look.entity, " was seen as ", look.log,
                            seen ? " before" : " after", " operation ", label);
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> EntityLedger::CheckSections(
    const Places& places) const {
  // The first place of each, by entity.
  std::map<std::string, std::map<std::string, size_t>> begins;
  for (const Section& section : sections_) {
    for (const std::string& entity : section.entities) {
      size_t first = SIZE_MAX;
      size_t last = 0;
      size_t count = 0;
      for (const auto& [label, place] : places) {
        if (place.entity != entity ||
            !absl::StartsWith(label, section.prefix)) {
          continue;
        }
        first = std::min(first, place.index);
        last = std::max(last, place.index);
        ++count;
      }
      if (count != section.calls_each || last - first + 1 != count) {
        return absl::StrCat("somebody came into the critical section ",
                            section.prefix, " at ", entity);
      }
      begins[section.prefix][entity] = first;
    }
  }
  for (const auto& [one, its] : begins) {
    for (const auto& [other, others] : begins) {
      int before = 0;
      int after = 0;
      for (const auto& [entity, place] : its) {
        const auto there = others.find(entity);
        if (there == others.end()) continue;
        before += place < there->second ? 1 : 0;
        after += place > there->second ? 1 : 0;
      }
      if (before > 0 && after > 0) {
        return absl::StrCat("critical section ", one, " came before ", other,
                            " at one entity, and after it at another");
      }
    }
  }
  return std::nullopt;
}

}  // namespace leasehold
