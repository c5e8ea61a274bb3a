#include "tests/simulation/known_life.h"

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace leasehold {

std::optional<std::string> KnownLife::SeeEnd(const OrchestrationInfo& info,
                                             bool over) {
  if (info.status == OrchestrationStatus::kFailed) return WrongFailure(over);
  const std::string now = info.output.value_or("");
  if (output.has_value() && *output != now) {
    return absl::StrCat("ended as ", *output, " before, and now as ", now);
  }
  output = now;
  if (info.status == OrchestrationStatus::kTerminated) {
    if (!meddled) return "was terminated by nobody";
    return std::nullopt;
  }
  if (info.status != OrchestrationStatus::kCompleted) {
    return absl::StrCat("ended as ", std::string(StatusName(info.status)));
  }
  return kind == "collect" ? WrongEvents() : WrongResult();
}

std::optional<std::string> KnownLife::WrongFailure(bool over) const {
  if (output.has_value()) {
    return absl::StrCat("ended as ", *output, " before, and now it failed");
  }
  const bool may_fail = kind == "flaky" || kind == "hopeful";
  if (!may_fail || (over && !meddled)) return "has failed";
  return std::nullopt;
}

std::optional<std::string> KnownLife::WrongResult() const {
  const std::map<std::string, std::string> results = {
      {"chain", "3"},
      {"fan", "4"},
      {"timer", "t"},
      {"parent", absl::StrCat("child-", label, "|3")},
      {"eternal", "end"},
      {"flaky", "f"},
      {"hopeful", absl::StrCat("child-", label, "|f")}};
  const std::string wanted = absl::StrCat(label, "|", results.at(kind));
  if (*output == wanted) return std::nullopt;
  if (meddled && *output == absl::StrCat(label, "|failed")) {
    return std::nullopt;
  }
  return absl::StrCat("ended as ", *output, ", not as ", wanted);
}

std::optional<std::string> KnownLife::WrongEvents() const {
  const std::vector<std::string> halves = absl::StrSplit(*output, '|');
  const std::vector<std::string> seen = absl::StrSplit(halves[1], ',');
  const std::set<std::string> once(seen.begin(), seen.end());
  if (once.size() != seen.size()) {
    return absl::StrCat("was told something twice: ", *output);
  }
  for (const std::string& event : events) {
    if (!once.contains(event)) {
      return absl::StrCat("was never told of ", event, ": ", *output);
    }
  }
  return std::nullopt;
}

}  // namespace leasehold
