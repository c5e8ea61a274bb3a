#include "client/cli/explanation_view.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/printable.h"
#include "client/wire/timestamp.h"

namespace leasehold::client::cli {
namespace {

namespace v1 = leasehold::v1;

// A sentence names so many causes.
constexpr int kNamedMax = 2;

// Adds members that have a value.
class Members {
 public:
  explicit Members(JsonObject& object) : object_(object) {}

  Members& Text(std::string_view name, const std::string& text) {
    object_.TextIfAny(name, text);
    return *this;
  }
  template <typename Integer>
  Members& Number(std::string_view name, Integer number) {
    if (number != 0) object_.Number(name, number);
    return *this;
  }

 private:
  JsonObject& object_;
};

JsonObject HolderJson(const v1::Holder& holder) {
  JsonObject object;
  Members(object)
      .Text("address", holder.address())
      .Text("identity", holder.identity())
      .Text("method", holder.method());
  return object;
}

JsonObject OutlookJson(const v1::Outlook& outlook) {
  JsonObject object;
  object.Number("workers", outlook.workers())
      .Number("takes", outlook.takes())
      .Number("unknown", outlook.unknown())
      .Number("takers", outlook.takers())
      .Number("slots_used", outlook.slots_used())
      .Number("slots", outlook.slots())
      .Number("silent", outlook.silent())
      .Number("full", outlook.full())
      .Number("unread", outlook.unread());
  return object;
}

JsonObject CauseJson(const v1::Cause& cause) {
  JsonObject object;
  object.Text("kind", v1::Cause::Kind_Name(cause.kind()))
      .Text("text", cause.text());
  Members members(object);
  members.Text("pin", cause.pin());
  if (cause.has_holder()) object.Object("holder", HolderJson(cause.holder()));
  members.Text("work", cause.work())
      .Text("name", cause.name())
      .Text("version", cause.version())
      .Number("attempt", cause.attempt())
      .Text("failure", cause.failure())
      .Number("worker_id", cause.worker_id());
  if (cause.silent()) object.Flag("silent", true);
  if (cause.has_outlook()) {
    object.Object("outlook", OutlookJson(cause.outlook()));
  }
  members.Text("instance_id", cause.instance_id())
      .Text("orchestration_id", cause.orchestration_id());
  if (cause.names_size() > 0) {
    object.Texts("names", {cause.names().begin(), cause.names().end()});
  }
  members.Text("status", cause.status())
      .Text("reason", cause.reason())
      .Number("count", cause.count())
      .Number("limit", cause.limit())
      .Number("bytes", cause.bytes())
      .Number("bytes_max", cause.bytes_max());
  if (cause.has_age()) object.Milliseconds("age_ms", FromProto(cause.age()));
  if (cause.has_time()) object.Time("time", FromProto(cause.time()));
  if (cause.has_end_time()) {
    object.Time("end_time", FromProto(cause.end_time()));
  }
  return object;
}

}  // namespace

std::string ExplanationText(const v1::Explanation& explanation,
                            const Look& look) {
  std::string text = Printable(explanation.sentence()) + "\n";
  if (explanation.causes_size() <= kNamedMax) return text;
  Table table({"CAUSE", {"WHAT", Column::Kind::kText}}, look);
  std::vector<Table::Row> rows;
  for (const v1::Cause& cause : explanation.causes()) {
    rows.push_back(
        {v1::Cause::Kind_Name(cause.kind()), Printable(cause.text())});
  }
  absl::StrAppend(&text, table.Lines(std::move(rows)));
  if (explanation.more_causes() > 0) {
    absl::StrAppend(&text, "and ", explanation.more_causes(), " more\n");
  }
  return text;
}

JsonObject ExplanationJson(const v1::Explanation& explanation) {
  JsonObject object;
  object.Text("instance_id", explanation.instance_id())
      .Text("sentence", explanation.sentence())
      .Text("subject", v1::Explanation::Subject_Name(explanation.subject()));
  Members(object)
      .Text("name", explanation.name())
      .Text("status", explanation.status())
      .Number("generation", explanation.generation());
  std::vector<JsonObject> causes;
  for (const v1::Cause& cause : explanation.causes()) {
    causes.push_back(CauseJson(cause));
  }
  object.Objects("causes", causes);
  Members(object).Number("more_causes", explanation.more_causes());
  return object;
}

}  // namespace leasehold::client::cli
