#include "service/orchestration/page_queries.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

constexpr char kKeySetting[] = "page_token_key";

PageScope ScopeOf(const OrchestrationQuery& list) {
  const OrchestrationFilter& filter = list.filter;
  PageScope scope("orchestrations", filter.tenant);
  scope.AddNumbers(filter.statuses);
  scope.AddNumber(filter.created_from);
  scope.AddNumber(filter.created_to);
  scope.Add(filter.id_prefix);
  // As before there was more: the tokens of that time stay good.
  if (filter.summary.empty() && list.order == RowOrder::kOldestFirst) {
    return scope;
  }
  scope.Add(filter.summary.name);
  for (const std::string& tag : filter.summary.tags) scope.Add(tag);
  // At the end, so that it is no tag.
  scope.AddNumber(static_cast<int64_t>(list.order));
  return scope;
}

PageScope ScopeOf(const FinishedIdsQuery& list) {
  PageScope scope("finished", list.tenant);
  scope.AddNumbers(list.statuses);
  scope.AddNumber(list.finished_from);
  scope.AddNumber(list.finished_to);
  return scope;
}

// The list, and the ID that a page begins after.
PageScope ScopeOf(const EntityListQuery& list, std::string_view last) {
  PageScope scope("entities", list.tenant);
  scope.Add(list.id_prefix);
  scope.AddNumber(list.modified_from);
  scope.AddNumber(list.modified_to);
  scope.AddNumber(list.with_stateless ? 1 : 0);
  scope.Add(last);
  return scope;
}

PageScope ScopeOf(const InstanceKey& key, const HistoryQuery& history) {
  PageScope scope("history", key.tenant);
  scope.Add(key.id);
  scope.Add(history.execution_id.value_or(""));
  return scope;
}

// nullopt: the first page.
using Begin = std::optional<PageTokens::Position>;

// `read`: nullopt: it is not a token of this list.
absl::StatusOr<Begin> BeginAt(const PageToken& token,
                              absl::FunctionRef<Begin(std::string_view)> read) {
  if (token.text.empty()) return std::nullopt;
  const Begin position = read(token.text);
  if (!position.has_value()) {
    return IsNotATokenOfThisList(token.field, token.text);
  }
  return position;
}
absl::StatusOr<Begin> BeginAt(const PageToken& token, const PageScope& scope,
                              const PageTokens& tokens) {
  return BeginAt(
      token, [&](std::string_view text) { return tokens.Read(scope, text); });
}

}  // namespace

absl::StatusOr<PageTokens> LoadPageTokens(Store& store, const Fence& fence) {
  absl::StatusOr<std::optional<std::string>> key =
      store.ReadSetting(kKeySetting);
  if (!key.ok() && !absl::IsDataLoss(key.status())) return key.status();
  if (key.ok() && key->has_value() && (*key)->size() == PageTokens::kKeyBytes) {
    return PageTokens(**std::move(key));
  }
  std::string made = PageTokens::NewKey();
  const Change change = PutSetting{kKeySetting, made};
  const CommitResult result = store.Commit({&fence, 1}, {&change, 1});
  if (!result.done()) return result.status();
  return PageTokens(std::move(made));
}

RowQuery QueryFor(const OrchestrationFilter& filter) {
  RowQuery query{.tenant = filter.tenant,
                 .statuses = filter.statuses,
                 .created_from = filter.created_from,
                 .created_to = filter.created_to,
                 .id_prefix = filter.id_prefix,
                 .count_max = filter.count_max};
  if (!filter.summary.empty()) {
    query.summary = [summary = filter.summary](std::string_view bytes) {
      return summary.Matches(bytes);
    };
  }
  return query;
}

absl::StatusOr<RowQuery> QueryFor(const OrchestrationQuery& list,
                                  const PageTokens& tokens) {
  const auto position = BeginAt(list.page_token, ScopeOf(list), tokens);
  if (!position.ok()) return position.status();
  RowQuery query = QueryFor(list.filter);
  ++query.count_max;
  query.order = list.order;
  if (position->has_value()) {
    query.after = {.number = static_cast<RunNumber>((**position)[0]),
                   .created = static_cast<StoredTime>((**position)[1])};
  }
  return query;
}

absl::StatusOr<FinishedQuery> QueryFor(const FinishedIdsQuery& list,
                                       const PageTokens& tokens) {
  const auto position = BeginAt(list.page_token, [&](std::string_view text) {
    return tokens.ReadShowing(ScopeOf(list), text);
  });
  if (!position.ok()) return position.status();
  FinishedQuery query{.tenant = list.tenant,
                      .statuses = list.statuses,
                      .finished_from = list.finished_from,
                      .finished_to = list.finished_to,
                      .count_max = list.count_max + 1};
  if (position->has_value()) {
    query.after = {.finished = static_cast<StoredTime>((**position)[0]),
                   .number = static_cast<RunNumber>((**position)[1])};
  }
  return query;
}

void Cut(size_t count_max, RowPage& page) {
  if (page.rows.size() <= count_max) return;
  page.rows.resize(count_max);
  page.next = PositionOf(page.rows.back());
}

void Cut(size_t count_max, FinishedPage& page) {
  if (page.rows.size() <= count_max) return;
  page.rows.resize(count_max);
  const RunRow& last = page.rows.back();
  page.next = {.finished = last.finished.value_or(0), .number = last.number};
}

void Cut(size_t count_max, EntityPage& page) {
  if (page.rows.size() <= count_max) return;
  page.rows.resize(count_max);
  page.next = page.rows.back().id;
}

absl::StatusOr<std::optional<HistoryPosition>> PositionIn(
    const InstanceKey& key, const HistoryQuery& history,
    const PageTokens& tokens) {
  const auto position =
      BeginAt(history.page_token, ScopeOf(key, history), tokens);
  if (!position.ok()) return position.status();
  if (!position->has_value()) return std::nullopt;
  return HistoryPosition{.number = static_cast<RunNumber>((**position)[0]),
                         .chunk = static_cast<int64_t>((**position)[1])};
}

std::string TokenFor(const InstanceKey& key, const HistoryQuery& history,
                     const HistoryPosition& next, const PageTokens& tokens) {
  return tokens.Make(
      ScopeOf(key, history),
      {static_cast<uint64_t>(next.number), static_cast<uint64_t>(next.chunk)});
}

std::string TokenFor(const OrchestrationQuery& list, const RowPosition& last,
                     const PageTokens& tokens) {
  return tokens.Make(ScopeOf(list), {static_cast<uint64_t>(last.number),
                                     static_cast<uint64_t>(last.created)});
}

std::string TokenFor(const FinishedIdsQuery& list, std::string_view last_id,
                     const FinishedQuery::Position& last,
                     const PageTokens& tokens) {
  return tokens.MakeShowing(last_id, ScopeOf(list),
                            {static_cast<uint64_t>(last.finished),
                             static_cast<uint64_t>(last.number)});
}

// The ID is readable, beside what vouches for it.
std::string TokenFor(const EntityListQuery& list, const std::string& last,
                     const PageTokens& tokens) {
  return absl::StrCat(absl::WebSafeBase64Escape(last), ".",
                      tokens.Make(ScopeOf(list, last), {0, 0}));
}

absl::StatusOr<EntityQuery> QueryFor(const EntityListQuery& list,
                                     const PageTokens& tokens) {
  EntityQuery query{.tenant = list.tenant,
                    .id_prefix = list.id_prefix,
                    .modified_from = list.modified_from,
                    .modified_to = list.modified_to,
                    .with_stateless = list.with_stateless,
                    .count_max = list.count_max + 1};
  const auto& [text, field] = list.page_token;
  if (text.empty()) return query;
  const size_t dot = text.find('.');
  if (dot == std::string::npos ||
      !absl::WebSafeBase64Unescape(text.substr(0, dot), &query.after) ||
      !tokens.Read(ScopeOf(list, query.after), text.substr(dot + 1))
           .has_value()) {
    return IsNotATokenOfThisList(field, text);
  }
  return query;
}

}  // namespace leasehold
