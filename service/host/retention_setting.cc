#include "service/host/retention_setting.h"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace leasehold {
namespace {

using Status = OrchestrationStatus;

struct Named {
  const char* name;
  Status status;
};
constexpr std::array<Named, 3> kNamed = {{{"completed", Status::kCompleted},
                                          {"failed", Status::kFailed},
                                          {"terminated", Status::kTerminated}}};

// Every status with which an orchestration can end.
constexpr std::array<Status, 4> kEnds = {Status::kCompleted, Status::kFailed,
                                         Status::kTerminated,
                                         Status::kCanceled};

constexpr char kOff[] = "off";

// nullopt: for good.
using Age = std::optional<absl::Duration>;

absl::StatusOr<Age> ReadAge(const std::string& text) {
  if (text == kOff) return std::nullopt;
  absl::Duration age;
  if (!ReadDuration(text, age).ok()) {
    return InvalidSetting(
        "must be a duration above zero with its unit, such as 12h or 7d, or "
        "off",
        text);
  }
  return age;
}

absl::StatusOr<Status> ReadEnd(const std::string& name) {
  for (const Named& one : kNamed) {
    if (one.name == absl::AsciiStrToLower(name)) return one.status;
  }
  return InvalidSetting(
      "names no status with which an orchestration ends (they are: completed, "
      "failed, terminated)",
      name);
}

void SetAge(Status status, const Age& age, RetentionRules& rules) {
  rules.ages.erase(status);
  if (age.has_value()) rules.ages[status] = *age;
}

}  // namespace

absl::StatusOr<RetentionRules> ReadRetention(const std::string& text) {
  std::optional<Age> of_all;
  std::map<Status, Age> of_some;
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(text, ','))) {
    const size_t equals = part.find('=');
    const absl::StatusOr<Age> age =
        ReadAge(part.substr(equals == std::string::npos ? 0 : equals + 1));
    if (!age.ok()) return age.status();
    bool twice = of_all.has_value();
    if (equals == std::string::npos) {
      of_all = *age;
    } else {
      const absl::StatusOr<Status> status = ReadEnd(part.substr(0, equals));
      if (!status.ok()) return status.status();
      twice = !of_some.emplace(*status, *age).second;
    }
    if (twice) return InvalidSetting("says the same thing twice", text);
  }
  RetentionRules rules;
  for (const Status status : kEnds) {
    SetAge(status, of_all.value_or(std::nullopt), rules);
  }
  for (const auto& [status, age] : of_some) SetAge(status, age, rules);
  return rules;
}

std::string RetentionText(const RetentionRules& rules) {
  if (rules.ages.empty()) return kOff;
  std::set<absl::Duration> ages;
  for (const auto& [status, age] : rules.ages) ages.insert(age);
  if (rules.ages.size() == kEnds.size() && ages.size() == 1) {
    return absl::FormatDuration(*ages.begin());
  }
  std::vector<std::string> parts;
  for (const Named& one : kNamed) {
    const auto found = rules.ages.find(one.status);
    if (found == rules.ages.end()) continue;
    parts.push_back(
        absl::StrCat(one.name, "=", absl::FormatDuration(found->second)));
  }
  return absl::StrJoin(parts, ",");
}

Setting RetentionSetting(RetentionRules& target) {
  return {"retention", "AGE[,STATUS=AGE...]", RetentionText(target),
          "Erase orchestrations so long after they have ended, as `leasehold "
          "orchestration purge` does; the statuses are completed, failed and "
          "terminated: completed=1d,failed=30d. off: keep them for good. Read "
          "again from the config file on SIGHUP.",
          [&target](const std::string& text) {
            absl::StatusOr<RetentionRules> rules = ReadRetention(text);
            if (!rules.ok()) return rules.status();
            target = *std::move(rules);
            return absl::OkStatus();
          }};
}

}  // namespace leasehold
