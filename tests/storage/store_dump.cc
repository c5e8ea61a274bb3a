#include "tests/storage/store_dump.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

// Some chunks of the tests are larger, some smaller.
constexpr size_t kPartBytes = 20;

// Makes bytes printable; shows long ones as their size and both ends.
std::string Text(std::string_view bytes) {
  const absl::string_view view(bytes.data(), bytes.size());
  if (view.size() <= 64) return absl::CHexEscape(view);
  return absl::StrCat(absl::CHexEscape(view.substr(0, 16)), "...",
                      absl::CHexEscape(view.substr(view.size() - 16)), " (",
                      view.size(), " bytes)");
}

absl::Status Contradiction(const std::string& what) {
  return absl::InternalError("methods contradict each other: " + what);
}

// Appends the lines of a history.
absl::Status DumpHistory(Store& store, RunNumber number,
                         std::vector<std::string>& lines) {
  const auto history = store.ReadHistory(number);
  if (!history.ok()) return history.status();
  const auto ends = store.ReadHistoryEnds(number);
  if (!ends.ok()) return ends.status();
  for (const std::string& chunk : *history) {
    lines.push_back(HistoryLine(number, chunk));
  }
  if (ends->first != (history->empty() ? "" : history->front()) ||
      ends->last != (history->empty() ? "" : history->back())) {
    return Contradiction(absl::StrCat("ends of the history of ", number));
  }
  std::vector<std::string> chunks;
  std::optional<int64_t> next = 0;
  while (next.has_value()) {
    auto part = store.ReadHistoryPart(number, *next, kPartBytes);
    if (!part.ok()) return part.status();
    std::move(part->chunks.begin(), part->chunks.end(),
              std::back_inserter(chunks));
    next = part->next;
  }
  if (chunks != *history) {
    return Contradiction(absl::StrCat("parts of the history of ", number));
  }
  return absl::OkStatus();
}

// Appends the lines of the replaced runs of a key, and of their histories.
absl::Status DumpReplaced(Store& store, const RunRow& by,
                          std::vector<std::string>& lines) {
  const auto runs = store.ReadReplaced(by.tenant, by.id);
  if (!runs.ok()) return runs.status();
  for (const RunRow& run : *runs) {
    lines.push_back("replaced: " + Line(run));
    absl::Status status = DumpHistory(store, run.number, lines);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Appends the lines of the entities of these tenants, and of what waits for
// those that are awake.
absl::Status DumpEntities(Store& store, const std::vector<std::string>& tenants,
                          std::vector<std::string>& lines) {
  for (const std::string& tenant : tenants) {
    const auto rows = AllEntities(store, {.tenant = tenant,
                                          .with_state = true,
                                          .with_stateless = true,
                                          .count_max = 2});
    if (!rows.ok()) return rows.status();
    for (const EntityRow& row : *rows) {
      const auto found = store.FindEntity(row.tenant, row.id);
      if (!found.ok()) return found.status();
      if (*found != row) return Contradiction("entity " + Line(row));
      lines.push_back(Line(row));
    }
  }
  return store.ReadAwake(kOnlyPartition, [&](const AwakeEntity& entity) {
    lines.push_back("awake: " + Line(entity.row));
    for (const OperationRow& row : entity.operations) {
      lines.push_back(Line(row));
    }
  });
}

// Appends the lines of calls of entities that have ended.
absl::Status DumpCalls(Store& store, std::vector<std::string>& lines) {
  std::vector<CallMark> calls;
  const absl::Status marked = store.ReadCalls(
      kOnlyPartition, [&](CallMark mark) { calls.push_back(std::move(mark)); });
  if (!marked.ok()) return marked;
  for (const CallMark& mark : calls) {
    const auto row = store.FindCall(mark.tenant, mark.request);
    if (!row.ok()) return row.status();
    if (!row->has_value() || (*row)->ended != mark.ended ||
        (*row)->outcome.size() != mark.bytes) {
      return Contradiction("call");
    }
    lines.push_back(Line(**row));
  }
  return absl::OkStatus();
}

// Appends the lines of settings.
absl::Status DumpSettings(Store& store, const std::vector<std::string>& names,
                          std::vector<std::string>& lines) {
  for (const std::string& name : names) {
    const auto value = store.ReadSetting(name);
    if (!value.ok()) return value.status();
    if (*value) lines.push_back(SettingLine(name, **value));
  }
  return absl::OkStatus();
}

// Appends the lines of an open instance's messages.
absl::Status DumpMessages(Store& store, const OpenRun& open,
                          std::vector<std::string>& lines) {
  const auto all = store.ReadMessages(open.row.number, {});
  if (!all.ok()) return all.status();
  std::vector<MessageRow> small;
  std::vector<LargeMessage> large;
  for (const MessageRow& row : *all) {
    lines.push_back(Line(row));
    if (row.event.size() <= kLargeMessageBytes) {
      small.push_back(row);
    } else {
      large.push_back(MakeLarge(row.sequence, row.execution, row.event));
    }
  }
  if (small != open.messages || large != open.large_messages) {
    return Contradiction(absl::StrCat("messages of ", open.row.number));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Line(const RunRow& row) {
  return absl::StrCat(
      "instance ", row.number, " ", Text(row.tenant), "/", Text(row.id),
      " status ", row.status, " created ", row.created, " finished ",
      row.finished ? absl::StrCat(*row.finished) : "-", " ", Text(row.summary));
}

std::string Line(const MessageRow& row) {
  return absl::StrCat("message ", row.number, " ", row.sequence, " ",
                      Text(row.execution), " ", Text(row.event));
}

std::string Line(const TimerRow& row) {
  return absl::StrCat("timer ", row.number, " ", row.sequence, " ", row.due);
}

std::string Line(const TaskRow& row) {
  return absl::StrCat("task ", row.number, " ", row.sequence, " ",
                      Text(row.task));
}

std::string Line(const RequestRow& row) {
  return absl::StrCat("request ", Text(row.tenant), "/", Text(row.request),
                      " of ", Text(row.id), " ", Text(row.receipt));
}

std::string Line(const OutboxRow& row) {
  return absl::StrCat("outbox ", row.source, " ", row.ordinal, " to ",
                      row.target, row.damaged ? " damaged " : " ",
                      Text(row.body));
}

std::string Line(const EntityRow& row) {
  return absl::StrCat("entity ", row.number, " ", Text(row.tenant), "/",
                      Text(row.id), " modified ", row.modified, " ",
                      Text(row.header), " ",
                      row.state ? absl::StrCat("= ", Text(*row.state)) : "-",
                      row.damaged ? " damaged" : "");
}

std::string Line(const OperationRow& row) {
  return absl::StrCat("operation ", row.number, " ", row.sequence, " ",
                      Text(row.event));
}

std::string Line(const CallRow& row) {
  return absl::StrCat("call ", Text(row.tenant), "/", Text(row.request), " of ",
                      Text(row.id), " ended ", row.ended, " ", row.fingerprint,
                      row.damaged ? " damaged " : " ", Text(row.outcome));
}

std::string HistoryLine(RunNumber number, std::string_view events) {
  return absl::StrCat("history ", number, " ", Text(events));
}

std::string SettingLine(std::string_view name, std::string_view value) {
  return absl::StrCat("setting ", Text(name), " ", Text(value));
}

namespace {

// Whether a list has come further.
bool Follows(RowOrder order, const RowPosition& place,
             const std::optional<RowPosition>& before) {
  if (!before) return true;
  if (order == RowOrder::kOldestFirst) return place.number > before->number;
  return std::pair(place.created, place.number) <
         std::pair(before->created, before->number);
}

}  // namespace

absl::StatusOr<std::vector<RunRow>> AllRows(Store& store, RowQuery query) {
  std::vector<RunRow> rows;
  while (true) {
    auto page = store.Query(query);
    if (!page.ok()) return page.status();
    if (page->rows.size() > query.count_max) return Contradiction("page size");
    for (RunRow& row : page->rows) rows.push_back(std::move(row));
    if (!page->next) return rows;
    if (!Follows(query.order, *page->next, query.after)) {
      return Contradiction("next page");
    }
    query.after = page->next;
  }
}

absl::StatusOr<RowCounts> CountAll(Store& store, RowQuery query) {
  RowCounts all;
  while (true) {
    auto part = store.Count(query);
    if (!part.ok()) return part.status();
    for (const auto& [status, count] : part->by_status) {
      all.by_status[status] += count;
    }
    if (!part->next) return all;
    if (!Follows(RowOrder::kNewestFirst, *part->next, query.after)) {
      return Contradiction("next part");
    }
    query.after = part->next;
  }
}

absl::StatusOr<std::vector<EntityRow>> AllEntities(Store& store,
                                                   EntityQuery query) {
  std::vector<EntityRow> rows;
  while (true) {
    auto page = store.QueryEntities(query);
    if (!page.ok()) return page.status();
    if (page->rows.size() > query.count_max) return Contradiction("page size");
    for (EntityRow& row : page->rows) rows.push_back(std::move(row));
    if (!page->next) return rows;
    if (*page->next <= query.after) return Contradiction("next page");
    query.after = *page->next;
  }
}

absl::StatusOr<std::vector<RunRow>> AllFinished(Store& store,
                                                FinishedQuery query) {
  std::vector<RunRow> rows;
  while (true) {
    auto page = store.ListFinished(query);
    if (!page.ok()) return page.status();
    if (page->rows.size() > query.count_max) return Contradiction("page size");
    for (RunRow& row : page->rows) rows.push_back(std::move(row));
    if (!page->next) return rows;
    query.after = page->next;
  }
}

absl::StatusOr<std::vector<std::string>> Dump(
    Store& store, const std::vector<std::string>& tenants,
    const std::vector<std::string>& names) {
  std::vector<std::string> lines;
  for (const std::string& tenant : tenants) {
    const auto rows = AllRows(store, {.tenant = tenant});
    if (!rows.ok()) return rows.status();
    for (const RunRow& row : *rows) {
      lines.push_back(Line(row));
      const auto found = store.Find(row.tenant, row.id);
      if (!found.ok()) return found.status();
      if (*found != row) return Contradiction(Line(row));
      absl::Status status = DumpHistory(store, row.number, lines);
      if (status.ok()) status = DumpReplaced(store, row, lines);
      if (!status.ok()) return status;
    }
    const auto finished = AllFinished(store, {.tenant = tenant});
    if (!finished.ok()) return finished.status();
    for (const RunRow& row : *finished) {
      lines.push_back("finished: " + Line(row));
    }
    for (const std::string& name : names) {
      const auto request = store.FindRequest(tenant, name);
      if (!request.ok()) return request.status();
      if (*request) lines.push_back(Line(**request));
    }
  }
  std::vector<OpenRun> opened;
  const absl::Status read = store.ReadOpen(
      kOnlyPartition, [&](OpenRun open) { opened.push_back(std::move(open)); });
  if (!read.ok()) return read;
  for (const OpenRun& open : opened) {
    lines.push_back("open: " + Line(open.row));
    absl::Status status = DumpMessages(store, open, lines);
    if (!status.ok()) return status;
    for (const TimerRow& row : open.timers) lines.push_back(Line(row));
    std::vector<TaskRow> tasks = open.tasks;
    for (const LargeTask& large : open.large_tasks) {
      auto row = store.ReadTask(open.row.number, large.sequence);
      if (!row.ok()) return row.status();
      if (!row->has_value() ||
          MakeLarge(large.sequence, (*row)->task) != large) {
        return Contradiction(absl::StrCat("activity of ", open.row.number));
      }
      tasks.push_back(**std::move(row));
    }
    std::sort(tasks.begin(), tasks.end(),
              [](const TaskRow& one, const TaskRow& other) {
                return one.sequence < other.sequence;
              });
    for (const TaskRow& row : tasks) lines.push_back(Line(row));
  }
  absl::Status status = DumpSettings(store, names, lines);
  if (!status.ok()) return status;
  for (PartitionId source = 0; source < 2; ++source) {
    const auto rows = store.ReadOutbox(source);
    if (!rows.ok()) return rows.status();
    for (const OutboxRow& row : *rows) lines.push_back(Line(row));
  }
  status = DumpEntities(store, tenants, lines);
  if (status.ok()) status = DumpCalls(store, lines);
  if (!status.ok()) return status;
  const auto last = store.ReadLastNumber(kOnlyPartition);
  if (!last.ok()) return last.status();
  lines.push_back(absl::StrCat("last number ", *last));
  return lines;
}

}  // namespace leasehold
