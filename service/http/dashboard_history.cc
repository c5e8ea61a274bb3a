#include "service/http/dashboard_history.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"
#include "leasehold/v1/orchestration.pb.h"
#include "service/doors/orchestration_messages.h"
#include "service/http/dashboard_call.h"
#include "service/http/dashboard_json.h"

namespace leasehold {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using nlohmann::json;

using Info = std::optional<OrchestrationInfo>;

constexpr char kRow[] = "leasehold.v1.Orchestration/GetHistory";

// Where a part of a history begins: behind `skip` events of a page of the port.
struct Cursor {
  std::string execution_id;
  std::string page_token;
  uint64_t skip = 0;
  uint64_t base = 0;  // How many events there are before that page.

  std::string ToText() const {
    return absl::StrCat(base, "~", skip, "~", page_token, "~", execution_id);
  }
};

// `after`; an empty one is the beginning of the present execution.
//   InvalidArgument: it is not one of these.
absl::StatusOr<Cursor> CursorIn(const HttpRequest& request) {
  const std::string_view text = request.query.Get("after");
  Cursor cursor;
  if (text.empty()) return cursor;
  const std::vector<std::string> parts =
      absl::StrSplit(View(text), absl::MaxSplits('~', 3));
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[0], &cursor.base) ||
      !absl::SimpleAtoi(parts[1], &cursor.skip)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "after: must be the next_after of an earlier part, and is ",
        QuoteForMessage(text)));
  }
  cursor.page_token = parts[2];
  cursor.execution_id = parts[3];
  return cursor;
}

HistoryQuery QueryOf(const Cursor& cursor) {
  return {.execution_id = cursor.execution_id,
          .page_token = {.text = cursor.page_token, .field = "after"}};
}

// Calls `use` for each event of a page, in order.
void ForEachEvent(const HistoryPage& page,
                  const std::function<void(const HistoryEvent&)>& use) {
  for (const std::string& chunk : page.chunks) {
    ForEachFrame(chunk, [&use](std::string_view bytes) {
      if (const std::optional<HistoryEvent> event = DecodeEvent(bytes)) {
        use(*event);
      }
    });
  }
}

json PartOf(const HistoryPage& page, Cursor cursor, size_t limit) {
  json events = json::array();
  uint64_t place = 0;
  ForEachEvent(page, [&](const HistoryEvent& event) {
    const uint64_t at = place++;
    if (at < cursor.skip || events.size() == limit) return;
    json object = ToJson(event);
    object["sequence"] = absl::StrCat(cursor.base + at);
    events.push_back(std::move(object));
  });
  cursor.skip += events.size();
  const bool cut = cursor.skip < place;
  const bool more = cut || page.next.has_value();
  if (!cut && page.next.has_value()) {
    cursor.base += place;
    cursor.skip = 0;
    cursor.page_token = page.next->page_token.text;
  }
  return {{"events", std::move(events)},
          {"execution_id", cursor.execution_id},
          {"next_after", cursor.ToText()},
          {"more", more}};
}

// Calls `use` with the present execution of the call's orchestration.
void WithExecution(Orchestrations& orchestrations, const HttpCallPtr& call,
                   const InstanceKey& key,
                   std::function<void(const OrchestrationInfo&)> use) {
  orchestrations.Get(
      key, /*payloads=*/false,
      [call, key, use = std::move(use)](const absl::StatusOr<Info>& info) {
        if (!info.ok()) return call->Fail(info.status());
        if (!info->has_value()) return call->Fail(NoSuchOrchestration(key));
        use(**info);
      });
}

void ReadPart(Orchestrations& orchestrations, const HttpCallPtr& call,
              const InstanceKey& key, const Cursor& cursor, size_t limit) {
  orchestrations.ReadHistory(
      key, QueryOf(cursor),
      [call, cursor, limit](const absl::StatusOr<HistoryPage>& page) {
        if (page.ok()) {
          return call->Finish(Answer(200, PartOf(*page, cursor, limit)));
        }
        const bool continues = !call->request().query.Get("after").empty();
        if (continues && absl::IsNotFound(page.status())) {
          return call->Fail(absl::AbortedError(page.status().message()));
        }
        call->Fail(page.status());
      });
}

absl::Status History(Orchestrations& orchestrations, const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = KeyIn(call->request());
  if (!key.ok()) return key.status();
  absl::StatusOr<Cursor> cursor = CursorIn(call->request());
  if (!cursor.ok()) return cursor.status();
  const absl::StatusOr<size_t> limit = LimitIn(call->request());
  if (!limit.ok()) return limit.status();
  if (!cursor->execution_id.empty()) {
    ReadPart(orchestrations, call, *key, *cursor, *limit);
    return absl::OkStatus();
  }
  WithExecution(orchestrations, call, *key,
                [&orchestrations, call, key = *key, cursor = *cursor,
                 limit = *limit](const OrchestrationInfo& info) mutable {
                  cursor.execution_id = info.summary.execution_id;
                  ReadPart(orchestrations, call, key, cursor, limit);
                });
  return absl::OkStatus();
}

// The text at a path such as `failure.message`; nullopt: there is none.
std::optional<std::string> TextAt(const Message& message,
                                  std::string_view path) {
  const size_t dot = path.find('.');
  const FieldDescriptor* const field = message.GetDescriptor()->FindFieldByName(
      std::string(path.substr(0, dot)));
  if (field == nullptr || field->is_repeated()) return std::nullopt;
  const auto& of = *message.GetReflection();
  if (dot == std::string_view::npos) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
      return std::nullopt;
    }
    return of.GetString(message, field);
  }
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return std::nullopt;
  }
  return TextAt(of.GetMessage(message, field), path.substr(dot + 1));
}

// The same for an event: at a path in what happened.
std::optional<std::string> TextAt(const HistoryEvent& event,
                                  std::string_view path) {
  v1::OrchestrationEvent message;
  ToMessage(event, message);
  const auto& of = *message.GetReflection();
  const FieldDescriptor* const kind = of.GetOneofFieldDescriptor(
      message, message.GetDescriptor()->FindOneofByName("event"));
  if (kind == nullptr) return std::nullopt;
  return TextAt(of.GetMessage(message, kind), path);
}

void FinishWithText(HttpCall& call, const std::optional<std::string>& text) {
  if (!text.has_value()) {
    return call.Fail(absl::NotFoundError(absl::StrCat(
        "field: there is no text ",
        QuoteForMessage(call.request().query.Get("field")), " there")));
  }
  HttpResponse response;
  response.headers.Add("Content-Type", "text/plain; charset=utf-8");
  response.headers.Add("Content-Disposition",
                       "attachment; filename=\"payload.txt\"");
  response.body = *text;
  call.Finish(std::move(response));
}

// Looks for event `wanted` from the page of `query` on, which begins with event
// `base`.
void FindText(Orchestrations& orchestrations, const HttpCallPtr& call,
              const InstanceKey& key, HistoryQuery query, uint64_t base,
              uint64_t wanted) {
  orchestrations.ReadHistory(
      key, std::move(query),
      [&orchestrations, call, key, base,
       wanted](const absl::StatusOr<HistoryPage>& page) {
        if (!page.ok()) return call->Fail(page.status());
        uint64_t place = base;
        std::optional<HistoryEvent> found;
        ForEachEvent(*page, [&](const HistoryEvent& event) {
          if (place++ == wanted) found = event;
        });
        if (found.has_value()) {
          return FinishWithText(
              *call, TextAt(*found, call->request().query.Get("field")));
        }
        if (page->next.has_value()) {
          return FindText(orchestrations, call, key, *page->next, place,
                          wanted);
        }
        call->Fail(absl::NotFoundError(absl::StrCat(
            "event: there is no event ", wanted, "; there are ", place)));
      });
}

absl::Status PayloadOf(Orchestrations& orchestrations,
                       const HttpCallPtr& call) {
  const absl::StatusOr<InstanceKey> key = KeyIn(call->request());
  if (!key.ok()) return key.status();
  const std::optional<std::string_view> event =
      call->request().query.Find("event");
  if (!event.has_value()) {
    orchestrations.Get(
        *key, /*payloads=*/true,
        [call, key = *key](const absl::StatusOr<Info>& info) {
          if (!info.ok()) return call->Fail(info.status());
          if (!info->has_value()) return call->Fail(NoSuchOrchestration(key));
          v1::OrchestrationState message;
          ToMessage(**info, message);
          FinishWithText(*call,
                         TextAt(message, call->request().query.Get("field")));
        });
    return absl::OkStatus();
  }
  uint64_t wanted = 0;
  if (!absl::SimpleAtoi(View(*event), &wanted)) {
    return absl::InvalidArgumentError(
        absl::StrCat("event: must be the sequence of an event, and is ",
                     QuoteForMessage(*event)));
  }
  WithExecution(orchestrations, call, *key,
                [&orchestrations, call, key = *key,
                 wanted](const OrchestrationInfo& info) {
                  FindText(orchestrations, call, key,
                           {.execution_id = info.summary.execution_id}, 0,
                           wanted);
                });
  return absl::OkStatus();
}

}  // namespace

std::vector<HttpRoute> DashboardHistoryRoutes(Orchestrations& orchestrations) {
  std::vector<HttpRoute> routes;
  routes.push_back(DashboardRoute("GET", "/orchestrations/{id}/history", kRow,
                                  [&orchestrations](const HttpCallPtr& call) {
                                    return History(orchestrations, call);
                                  }));
  routes.push_back(DashboardRoute("GET", "/orchestrations/{id}/payload", kRow,
                                  [&orchestrations](const HttpCallPtr& call) {
                                    return PayloadOf(orchestrations, call);
                                  }));
  return routes;
}

}  // namespace leasehold
