#include "service/http/http_route.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lease/base/view.h"
#include "service/base/invariant.h"

namespace leasehold {
namespace {

// `{name}`, with or without more behind it.
bool IsParameter(const std::string& part) {
  return part.front() == '{' && part.find('}') > 1 &&
         part.find('}') != std::string::npos;
}

// Adds what the parameter `part` stands for in `segment`. False: the segment is
// not of that form.
bool AddParameter(const std::string& part, const std::string& segment,
                  HttpFields& params) {
  const size_t end = part.find('}');
  const std::string suffix = part.substr(end + 1);
  if (segment.size() <= suffix.size() ||
      !absl::EndsWithIgnoreCase(segment, suffix)) {
    return false;
  }
  params.Add(part.substr(1, end - 1),
             segment.substr(0, segment.size() - suffix.size()));
  return true;
}

// Whether `segments` are of that pattern; `params` then has what its parameters
// stand for.
bool Matches(const std::vector<std::string>& pattern,
             const std::vector<std::string>& segments, HttpFields& params) {
  HttpFields found;
  size_t i = 0;
  for (; i < pattern.size(); ++i) {
    const std::string& part = pattern[i];
    const bool is_last = i + 1 == pattern.size();
    if (is_last && part == "*") {
      params = std::move(found);
      return true;
    }
    // A slash at the end that need not be there.
    if (is_last && part.empty() && i == segments.size() && i > 0) break;
    if (i == segments.size()) return false;
    if (!part.empty() && IsParameter(part)) {
      if (!AddParameter(part, segments[i], found)) return false;
    } else if (!absl::EqualsIgnoreCase(part, segments[i])) {
      return false;
    }
  }
  if (i < segments.size()) return false;
  params = std::move(found);
  return true;
}

// By the first segment of its path.
HttpGroup GroupOf(const std::string& first) {
  if (first == "healthz" || first == "readyz") return HttpGroup::kHealth;
  if (first == "metrics") return HttpGroup::kMetrics;
  if (first == "runtime" || first == "admin" || first == "durabletask") {
    return HttpGroup::kDurableFunctions;
  }
  return first == "api" ? HttpGroup::kDashboard : HttpGroup::kUi;
}

}  // namespace

std::string_view NameOf(HttpGroup group) {
  switch (group) {
    case HttpGroup::kNone:
      return "none";
    case HttpGroup::kHealth:
      return "health";
    case HttpGroup::kMetrics:
      return "metrics";
    case HttpGroup::kDurableFunctions:
      return "durable_functions";
    case HttpGroup::kDashboard:
      return "dashboard";
    case HttpGroup::kUi:
      return "ui";
  }
  return "none";
}

void HttpRouter::Add(HttpRoute route, const std::vector<MethodInfo>& methods) {
  Entry entry{.route = std::move(route), .method = {}, .pattern = {}};
  bool has_row = entry.route.own.has_value();
  if (has_row) entry.method = *entry.route.own;
  for (const MethodInfo& method : methods) {
    if (entry.route.row !=
        absl::StrCat(View(method.service), "/", View(method.name))) {
      continue;
    }
    has_row = true;
    entry.method = method;
  }
  if (!has_row || !absl::StartsWith(entry.route.pattern, "/")) {
    BreakInvariant("an HTTP route has a path and the row of a method");
  }
  entry.method.lasting = entry.route.lasting;
  entry.pattern = absl::StrSplit(entry.route.pattern.substr(1), '/');
  entry.group = GroupOf(entry.pattern.front());
  entries_.push_back(std::move(entry));
}

const HttpRouter::Entry* HttpRouter::Find(HttpRequest& request,
                                          std::string& allowed) const {
  allowed.clear();
  const std::string_view method =
      request.method == "HEAD" ? "GET" : std::string_view(request.method);
  for (const Entry& entry : entries_) {
    HttpFields params;
    if (!Matches(entry.pattern, request.segments, params)) continue;
    if (entry.route.method == method) {
      request.params = std::move(params);
      allowed.clear();
      return &entry;
    }
    const absl::string_view other = View(entry.route.method);
    if (absl::StrContains(allowed, other)) continue;
    absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", other,
                    other == "GET" ? ", HEAD" : "");
  }
  return nullptr;
}

}  // namespace leasehold
